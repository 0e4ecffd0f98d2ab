"""A `Backend` over llama.cpp: which tokens are computed with flash attention, and which without.

Flash attention passes over positions that are not in use, which others pay for: short sequences
are faster with it, long ones without. But its sums are others, so it is by its position in the
sequence alone how a token is computed, and never by what else is. The first `SHORT` positions of
every sequence lie in a cache of their own while it is no longer than that, computed with flash
attention; what follows is computed without, in the cache that holds whole sequences. A sequence
moves from one to the other when it grows, and back when it is cut.

Within that cache nothing of flash attention depends on a batch: llama.cpp computes a piece of a
prompt in tiles from 64 tokens on, so pieces are smaller, and divides the positions of a single
token among threads from 512 on, so the cache is smaller, too. So tokens of an answer get the bits
of a prompt's there, where the types of the weights allow it.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.core.backend import AdapterError, Logits, SlotId, Tokens
from friendli_endpoint.engine.llama.cache import Cache, DecodeError
from friendli_endpoint.engine.llama.kernels import LEAST_WITH_LORA
from friendli_endpoint.engine.llama.model import LlamaModel, ModelError
from friendli_endpoint.engine.llama.values import transpose_values

__all__ = ["SHORT_ROOM", "DecodeError", "LlamaContext"]

log = logging.getLogger("friendli_endpoint.engine")

MICRO_BATCH = 512
"""Most tokens that one graph computation takes."""

SHORT_ROOM = 256
"""Tokens that a sequence can hold in the cache of short ones; llama.cpp allots no fewer."""

SHORT = SHORT_ROOM - 16
"""Positions computed with flash attention; a few cells are left for tokens that are dropped."""

MOST_FLASH = 63
"""Most tokens of a piece that flash attention computes one by one."""


class LlamaContext:
    """Separate key-value caches for a fixed number of sequences, and the logits they give.

    All calls must come from one thread at a time. `llama_decode` releases the GIL.

    Args:
        model: The weights; must outlive the context.
        sequences: How many sequences can be held.
        context: Tokens each of them can hold.
        threads: Threads that compute.

    Raises:
        ModelError: There is no memory for that much.
    """

    def __init__(self, model: LlamaModel, sequences: int, context: int, threads: int) -> None:
        self._model = model
        self._parting: set[int] = set()
        self._long = Cache(model, sequences, context, threads, False, MICRO_BATCH)
        self._short: Cache | None = None
        self._homes = [self._long] * sequences
        if model.has_windows:
            return  # what is moved lacks what the windows have passed
        try:
            batch = max(sequences, MOST_FLASH + 1)
            self._short = Cache(model, sequences, SHORT_ROOM, threads, True, batch)
        except ModelError:
            self.close()
            raise
        if not _exchangeable(self._short, self._long):
            self._short.close()
            self._short = None

    @property
    def batch_invariant_positions(self) -> int:
        """At so many positions, from the first on, tokens get the bits of one at a time.

        So generated tokens are like those of prompts there.
        """
        alone = len(self._homes) == 1  # nothing can be computed beside what must not be alone
        return SHORT if self.flash and self._model.kernels.most is None and not alone else 0

    @property
    def flash(self) -> bool:
        """Whether short sequences are computed with flash attention."""
        return self._short is not None

    def prefill(
        self, slot: SlotId, tokens: Tokens, position: int, output: bool, adapter: int | None = None
    ) -> Logits | None:
        """Appends a piece of a prompt to one sequence.

        Args:
            slot: The slot of the sequence.
            tokens: At most `MICRO_BATCH` ids, and no fewer than `Kernels.min_chunk_tokens` unless
            the
                whole prompt is shorter.
            position: How many tokens the sequence holds already.
            output: Whether the logits after the last token are wanted.
            adapter: What the weights are changed by.

        Returns:
            Logits of shape (vocabulary,), float32, valid until the next call, or None.
        """
        for part in self._parts(position, len(tokens)):
            last = np.arange(part.start + 1, part.stop + 1) == len(tokens)
            cache = self._append(slot, tokens, part, position, last & output, adapter)
        return cache.logits(1)[0] if output else None

    def extend(
        self,
        slot: SlotId,
        tokens: Tokens,
        position: int,
        outputs: bool,
        adapter: int | None = None,
    ) -> list[Logits] | None:
        """Appends tokens that are known to the answer in one sequence.

        Beyond `batch_invariant_positions` they may get other bits than one at a time, and the same
        ones whatever else
        is computed.

        Args:
            slot: The slot of the sequence.
            tokens: At most `MAX_RUN` ids.
            position: How many tokens the sequence holds already.
            outputs: Whether the logits after each token are wanted.
            adapter: What the weights are changed by.

        Returns:
            Logits of shape (vocabulary,), float32, for each token, valid until the next call, or
            None.
        """
        rows: list[Logits] = []
        for part in self._parts(position, len(tokens)):
            wanted = np.full(len(part), outputs)
            cache = self._append(slot, tokens, part, position, wanted, adapter)
            if outputs:
                rows.extend(cache.logits(len(part)))
        return rows if outputs else None

    def decode(
        self,
        slots: Sequence[SlotId],
        tokens: Sequence[int],
        positions: Sequence[int],
        adapter: int | None = None,
    ) -> list[Logits]:
        """Appends one token to each of several sequences.

        Args:
            slots: Distinct slots. None, of any slot, may be full.
            tokens: One id for each.
            positions: How many tokens each holds already.
            adapter: What the weights are changed by.

        Returns:
            Logits of shape (vocabulary,), float32, for each; valid until the next call.
        """
        least = self._model.kernels.least
        if adapter is not None:
            least = max(least, LEAST_WITH_LORA)
        shares: dict[Cache, list[int]] = {}
        for index, (slot, position) in enumerate(zip(slots, positions, strict=True)):
            shares.setdefault(self._lay(slot, position), []).append(index)
        rows: dict[int, Logits] = {}
        for cache, share in shares.items():
            self._use(cache, adapter)
            logits = cache.decode(
                [slots[index] for index in share],
                [tokens[index] for index in share],
                [positions[index] for index in share],
                least,
            )
            rows.update(zip(share, logits, strict=True))
        return [rows[index] for index in range(len(slots))]

    def copy(self, source: SlotId, target: SlotId) -> None:
        """Makes one sequence hold what another holds, to the bit."""
        home, left = self._homes[source], self._homes[target]
        if left is not home:
            left.drop(target, 0)
        home.copy(source, target)
        self._homes[target] = home

    def truncate(self, slot: SlotId, length: int) -> None:
        """Drops all that a sequence holds from position `length` on."""
        self._homes[slot].drop(slot, length)

    def load_adapter(self, path: Path) -> int:
        """Reads a LoRA for this model.

        Raises:
            AdapterError: The file is missing, not a GGUF file, or not a LoRA for this model.
        """
        try:
            return self._model.load_adapter(path)
        except ModelError as error:
            raise AdapterError(str(error)) from error

    def free_adapter(self, adapter: int) -> None:
        """Frees a LoRA."""
        self._parting.add(adapter)
        self._free_parting()

    def close(self) -> None:
        """Frees the caches."""
        for cache in self._caches:
            cache.close()

    @property
    def _caches(self) -> list[Cache]:
        return [cache for cache in (self._short, self._long) if cache is not None]

    def _append(
        self,
        slot: SlotId,
        tokens: Tokens,
        part: range,
        position: int,
        outputs: NDArray[np.bool_],
        adapter: int | None,
    ) -> Cache:
        """Appends a part of a piece that begins at a position; gives where it was computed.

        One that was cut off at the border may be too small: it is filled up, and the rest dropped.
        """
        cache = self._lay(slot, position + part.start)
        self._use(cache, adapter)
        own = np.asarray(tokens[part.start : part.stop], np.int32)
        least = min(self._model.kernels.min_chunk_tokens, len(tokens))
        spare = max(0, least - own.size)
        filled, wanted = np.pad(own, (0, spare), mode="edge"), np.pad(outputs, (0, spare))
        cache.append(slot, filled, position + part.start, wanted)
        if spare:
            cache.drop(slot, position + part.stop)
        return cache

    def _parts(self, position: int, count: int) -> Iterator[range]:
        """Cuts a piece of a sequence so that each part is computed in one way."""
        short = min(count, max(0, SHORT - position)) if self._short is not None else 0
        parts = -(-short // MOST_FLASH)
        ends = [short * part // parts for part in range(1, parts + 1)]
        yield from map(range, [0, *ends], ends)
        if short < count:
            yield range(short, count)

    def _lay(self, slot: SlotId, position: int) -> Cache:
        """Moves a sequence to where its token at a position is computed."""
        short, home = self._short, self._homes[slot]
        cache = self._long if short is None or position >= SHORT else short
        if cache is not home:
            if position:
                home.drop(slot, position)
                cache.restore(transpose_values(home.save(slot)), slot)
            home.drop(slot, 0)
            self._homes[slot] = cache
        return cache

    def _use(self, cache: Cache, adapter: int | None) -> None:
        """Sets what the weights are changed by in a cache, from its next batch on."""
        offsets = self._model.offsets
        cache.use(offsets if adapter is None else (*offsets, adapter))
        self._free_parting()

    def _free_parting(self) -> None:
        """Frees adapters that no graph is set up with: one that is could be used again."""
        if self._parting:
            used = {adapter for cache in self._caches for adapter in cache.adapters}
            for adapter in self._parting - used:
                self._model.free_adapter(adapter)
            self._parting &= used


def _exchangeable(first: Cache, second: Cache) -> bool:
    """Whether what one cache holds can be laid into the other and back."""
    slot = SlotId(0)
    first.append(slot, [0, 0], 0, False)
    state = first.save(slot)
    try:
        second.restore(transpose_values(state), slot)
        back = transpose_values(second.save(slot))
    except (ValueError, DecodeError) as error:
        log.info("short sequences are computed as long ones are: %s", error)
        return False
    finally:
        first.drop(slot, 0)
        second.drop(slot, 0)
    return np.array_equal(back, state)

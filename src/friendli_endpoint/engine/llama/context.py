"""`Backend` over llama.cpp that chooses flash attention by the position of a token.

Flash attention skips unused positions of the cache, which attention without it computes. So it is
faster for short sequences, and slower for long ones. But it sums in a different order, so it gives
different bits. To keep results independent of the batch, the position of a token in its sequence
alone decides whether it is computed with flash attention.

There are two KV caches. The flash cache holds the first `FLASH_POSITIONS` positions of every
sequence that is not longer, and computes with flash attention. The main cache holds whole
sequences, and computes all further positions without. A sequence moves to the main cache when it
grows beyond that limit, and back when it is truncated.

In the flash cache, the bits of flash attention do not depend on the batch. llama.cpp computes
prompt chunks in tiles from 64 tokens on, so chunks are smaller there. It divides the positions of a
single token among threads from 512 positions on, so the cache is smaller than that. So in the flash
cache, decoded tokens have the bits of prefilled ones, if the types of the weights allow it.

Other devices than processors were not measured. With them, there is only the main cache, and
llama.cpp chooses the attention.
"""

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.core.backend import (
    AdapterError,
    Block,
    BlockFormat,
    Logits,
    SavedBlocks,
    SlotId,
    Tokens,
)
from friendli_endpoint.engine.llama.blocks import BlockCodec
from friendli_endpoint.engine.llama.cache import DecodeError, KVCache
from friendli_endpoint.engine.llama.kernels import MIN_SEQUENCES_WITH_LORA
from friendli_endpoint.engine.llama.model import LlamaModel, ModelError
from friendli_endpoint.engine.llama.threads import BatchThreads
from friendli_endpoint.engine.llama.values import transpose_values

__all__ = ["FLASH_CACHE_TOKENS", "DecodeError", "LlamaContext"]

log = logging.getLogger("friendli_endpoint.engine")

MICRO_BATCH = 512
"""Maximum number of tokens in a batch of the main cache."""

FLASH_CACHE_TOKENS = 256
"""Capacity of a sequence in the flash cache, in tokens; llama.cpp does not allocate less."""

FLASH_POSITIONS = FLASH_CACHE_TOKENS - 16
"""Number of positions, from the first on, that are computed with flash attention. The remaining
cells of the cache are for padding tokens, which are removed after their batch."""

MAX_FLASH_CHUNK = 63
"""Maximum number of tokens in a batch that flash attention does not compute in tiles."""


class LlamaContext:
    """`Backend` implementation: separate KV caches for a fixed number of sequences.

    Not thread-safe: only one thread may call it at a time. `llama_decode` releases the GIL.

    Args:
        model: The weights; must outlive the context.
        sequences: Number of slots.
        context: Capacity of each slot, in tokens.
        threads: Number of compute threads: the same for every batch, or chosen for each.

    Raises:
        ModelError: There is not enough memory.
    """

    def __init__(
        self, model: LlamaModel, sequences: int, context: int, threads: int | BatchThreads
    ) -> None:
        self._model = model
        self._adapters_to_free: set[int] = set()
        flash = False if model.on_cpu else None
        self._main_cache = KVCache(model, sequences, context, threads, flash, MICRO_BATCH)
        self._flash_cache: KVCache | None = None
        self._cache_of = [self._main_cache] * sequences
        self._codec: BlockCodec | None = None
        # A moved sequence would lack the positions that left the windows.
        if model.has_windows or not model.on_cpu:
            return
        self._codec = _block_codec(self._main_cache)
        try:
            max_batch = max(sequences, MAX_FLASH_CHUNK + 1)
            self._flash_cache = KVCache(
                model, sequences, FLASH_CACHE_TOKENS, threads, True, max_batch
            )
        except ModelError:
            self.close()
            raise
        if not _states_are_convertible(self._flash_cache, self._main_cache):
            self._flash_cache.close()
            self._flash_cache = None

    @property
    def batch_invariant_positions(self) -> int:
        """The number of first positions at which a token has the same bits in every batch.

        There, decoded tokens have the bits of prefilled ones. It is 0 without a flash cache, with
        types of weights that have tiled kernels, and with a single slot, where there is no second
        sequence to pad a batch with.
        """
        can_pad = len(self._cache_of) > 1
        invariant = self.flash and self._model.kernels.max_sequences is None and can_pad
        return FLASH_POSITIONS if invariant else 0

    @property
    def block_format(self) -> BlockFormat | None:
        """Format of saved blocks.

        It is None for models with sliding windows, as a saved state lacks the positions that left
        the windows, for models whose states have an unknown layout, and with a GPU, whose bits
        depend on the batches.
        """
        return None if self._codec is None else self._codec.format

    @property
    def flash(self) -> bool:
        """Whether the first positions of sequences are computed with flash attention."""
        return self._flash_cache is not None

    def prefill(
        self, slot: SlotId, tokens: Tokens, position: int, output: bool, adapter: int | None = None
    ) -> Logits | None:
        """Appends a chunk of a prompt to one sequence.

        Args:
            slot: The slot of the sequence.
            tokens: Token ids, shape (count,): at most `MICRO_BATCH`, and at least
                `Kernels.min_chunk_tokens` unless the whole prompt is shorter.
            position: Number of tokens in the slot so far.
            output: Whether to return the logits after the last token.
            adapter: A LoRA adapter that `load_adapter` returned, or None.

        Returns:
            The logits, shape (vocabulary,), float32, valid until the next call; None without
            `output`.

        Raises:
            DecodeError: llama.cpp failed to decode a batch.
        """
        for span in self._split_by_attention(position, len(tokens)):
            is_last = np.arange(span.start + 1, span.stop + 1) == len(tokens)
            cache = self._append(slot, tokens, span, position, is_last & output, adapter)
        return cache.logits(1)[0] if output else None

    def extend(
        self,
        slot: SlotId,
        tokens: Tokens,
        position: int,
        outputs: bool,
        adapter: int | None = None,
    ) -> list[Logits] | None:
        """Appends several known or drafted tokens of an answer to one sequence.

        Beyond `batch_invariant_positions`, their bits may differ from those of tokens decoded one
        at a time, but do not depend on other sequences.

        Args:
            slot: The slot of the sequence.
            tokens: Token ids, shape (count,); at most `MAX_RUN`.
            position: Number of tokens in the slot so far.
            outputs: Whether to return the logits after each token.
            adapter: A LoRA adapter that `load_adapter` returned, or None.

        Returns:
            The logits after each token, shape (vocabulary,), float32, valid until the next call;
            None without `outputs`.

        Raises:
            DecodeError: llama.cpp failed to decode a batch.
        """
        rows: list[Logits] = []
        for span in self._split_by_attention(position, len(tokens)):
            span_outputs = np.full(len(span), outputs)
            cache = self._append(slot, tokens, span, position, span_outputs, adapter)
            if outputs:
                rows.extend(cache.logits(len(span)))
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
            slots: Distinct slots. No slot of the context, in `slots` or not, may be full.
            tokens: One token id for each slot.
            positions: Number of tokens in each slot so far.
            adapter: A LoRA adapter that `load_adapter` returned, or None.

        Returns:
            The logits of each slot, shape (vocabulary,), float32; valid until the next call.

        Raises:
            DecodeError: llama.cpp failed to decode a batch or to copy a state.
        """
        min_sequences = self._model.kernels.min_sequences
        if adapter is not None:
            min_sequences = max(min_sequences, MIN_SEQUENCES_WITH_LORA)
        indices_by_cache: dict[KVCache, list[int]] = {}
        for index, (slot, position) in enumerate(zip(slots, positions, strict=True)):
            indices_by_cache.setdefault(self._move(slot, position), []).append(index)
        rows: dict[int, Logits] = {}
        for cache, indices in indices_by_cache.items():
            self._set_adapters(cache, adapter)
            logits = cache.decode(
                [slots[index] for index in indices],
                [tokens[index] for index in indices],
                [positions[index] for index in indices],
                min_sequences,
            )
            rows.update(zip(indices, logits, strict=True))
        return [rows[index] for index in range(len(slots))]

    def copy(self, source: SlotId, target: SlotId) -> None:
        """Replaces one sequence by an exact copy of another."""
        cache, old_cache = self._cache_of[source], self._cache_of[target]
        if old_cache is not cache:
            old_cache.truncate(target, 0)
        cache.copy(source, target)
        self._cache_of[target] = cache

    def truncate(self, slot: SlotId, length: int) -> None:
        """Removes the cached tokens of a sequence from position `length` on."""
        self._cache_of[slot].truncate(slot, length)

    def save(self, slot: SlotId) -> SavedBlocks:
        """Returns a function that returns the blocks of a sequence by their index."""
        assert self._codec is not None
        cache = self._cache_of[slot]
        state = cache.save(slot)
        if cache is self._flash_cache:
            state = transpose_values(state)
        return partial(self._codec.split, state)

    def restore(self, slot: SlotId, blocks: Sequence[Block]) -> None:
        """Replaces a sequence by saved blocks.

        Raises:
            DecodeError: llama.cpp rejects the state.
        """
        assert self._codec is not None
        if self._flash_cache is not None:
            self._flash_cache.truncate(slot, 0)
        self._main_cache.restore(self._codec.join(blocks), slot)
        self._cache_of[slot] = self._main_cache

    def load_adapter(self, path: Path) -> int:
        """Loads a LoRA adapter for this model.

        Returns:
            The adapter, for the `adapter` argument of other methods and for `free_adapter`.

        Raises:
            AdapterError: The file is missing, not a GGUF file, or not a LoRA for this model.
        """
        try:
            return self._model.load_adapter(path)
        except ModelError as error:
            raise AdapterError(str(error)) from error

    def free_adapter(self, adapter: int) -> None:
        """Frees a LoRA adapter, as soon as it is not set on any cache."""
        self._adapters_to_free.add(adapter)
        self._free_unused_adapters()

    def close(self) -> None:
        """Frees the KV caches; may be called again."""
        for cache in self._caches:
            cache.close()

    @property
    def _caches(self) -> list[KVCache]:
        return [cache for cache in (self._flash_cache, self._main_cache) if cache is not None]

    def _append(
        self,
        slot: SlotId,
        tokens: Tokens,
        span: range,
        position: int,
        outputs: NDArray[np.bool_],
        adapter: int | None,
    ) -> KVCache:
        """Appends a span of a chunk that begins at a position; returns the cache that computed it.

        A span that ends at the limit between the caches may be smaller than the minimum chunk. It
        is padded, and the padding is removed again.
        """
        cache = self._move(slot, position + span.start)
        self._set_adapters(cache, adapter)
        ids = np.asarray(tokens[span.start : span.stop], np.int32)
        min_tokens = min(self._model.kernels.min_chunk_tokens, len(tokens))
        padding = max(0, min_tokens - ids.size)
        padded = np.pad(ids, (0, padding), mode="edge")
        cache.append(slot, padded, position + span.start, np.pad(outputs, (0, padding)))
        if padding:
            cache.truncate(slot, position + span.stop)
        return cache

    def _split_by_attention(self, position: int, count: int) -> Iterator[range]:
        """Splits a chunk into spans that are computed with or without flash attention.

        Spans with flash attention are not larger than `MAX_FLASH_CHUNK`.
        """
        flash = 0
        if self._flash_cache is not None:
            flash = min(count, max(0, FLASH_POSITIONS - position))
        num_spans = -(-flash // MAX_FLASH_CHUNK)
        ends = [flash * number // num_spans for number in range(1, num_spans + 1)]
        yield from map(range, [0, *ends], ends)
        if flash < count:
            yield range(flash, count)

    def _move(self, slot: SlotId, position: int) -> KVCache:
        """Moves a sequence to the cache that computes a position; returns that cache."""
        flash, old_cache = self._flash_cache, self._cache_of[slot]
        cache = self._main_cache if flash is None or position >= FLASH_POSITIONS else flash
        if cache is not old_cache:
            if position:
                old_cache.truncate(slot, position)
                cache.restore(transpose_values(old_cache.save(slot)), slot)
            old_cache.truncate(slot, 0)
            self._cache_of[slot] = cache
        return cache

    def _set_adapters(self, cache: KVCache, adapter: int | None) -> None:
        """Sets the adapters of the next batches of a cache: the model's offsets and `adapter`."""
        offsets = self._model.offset_adapters
        cache.set_adapters(offsets if adapter is None else (*offsets, adapter))
        self._free_unused_adapters()

    def _free_unused_adapters(self) -> None:
        """Frees unused adapters; a cache keeps using those that are set until others are set."""
        if self._adapters_to_free:
            used = {adapter for cache in self._caches for adapter in cache.adapters}
            for adapter in self._adapters_to_free - used:
                self._model.free_adapter(adapter)
            self._adapters_to_free &= used


def _block_codec(cache: KVCache) -> BlockCodec | None:
    """Returns a codec for the states of a cache, or None if their layout is unknown."""
    slot = SlotId(0)
    cache.append(slot, [0, 0], 0, False)
    try:
        return BlockCodec(cache.save(slot))
    except ValueError as error:
        log.info("prefixes cannot be saved: %s", error)
        return None
    finally:
        cache.truncate(slot, 0)


def _states_are_convertible(first: KVCache, second: KVCache) -> bool:
    """Whether the state of a sequence can be moved to the other cache and back."""
    slot = SlotId(0)
    first.append(slot, [0, 0], 0, False)
    state = first.save(slot)
    try:
        second.restore(transpose_values(state), slot)
        converted_back = transpose_values(second.save(slot))
    except (ValueError, DecodeError) as error:
        log.info("flash attention is not used: %s", error)
        return False
    finally:
        first.truncate(slot, 0)
        second.truncate(slot, 0)
    return np.array_equal(converted_back, state)

"""Scheduling policy of the engine: no model, no threads, no clock.

A sequence needs a free slot. Every slot stores one sequence of up to the whole context, so running
sequences are never preempted. Requests are served in the order of their arrival, resumed ones
first. A request's prompt is prefilled once, in chunks, in the slot of its first choice, starting
from the longest cached prefix. The other choices copy it; those that find no free slot wait, ahead
of all later requests.

A step consists of some chunks of prompts, and one token of every running choice. `chunking.py`
limits the chunks. They have a minimum size unless the prompt is shorter: `engine/llama/kernels.py`
explains why outputs depend on it.
"""

from collections import abc, deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np

from friendli_endpoint.engine.core.backend import SlotId, Tokens
from friendli_endpoint.engine.core.chunking import ChunkPolicy
from friendli_endpoint.engine.core.disk.store import StoredPrefix
from friendli_endpoint.engine.core.prefix_cache import FindStored, PrefixCache, Slot, SlotClaim
from friendli_endpoint.engine.core.sequence import Sequence, SequenceGroup, Status

__all__ = ["Placement", "PrefillChunk", "Scheduler", "Step"]

MIN_CHUNK_TOKENS = 16
"""Smaller chunks take more time per token, and are left to the next step."""


@dataclass(frozen=True, slots=True)
class PrefillChunk:
    """Instruction to prefill a chunk of tokens in a slot.

    Attributes:
        slot: The slot.
        source: The slot to copy the first `start` tokens from before, if any. In either case, the
            slot is then truncated to `start` tokens.
        stored: The first `start` tokens, to restore in the slot before, if they were on disk.
        tokens: The tokens of the chunk, shape (count,).
        start: Number of tokens in the slot before the chunk.
        adapter: The adapter, or None for the base model.
        group: The request whose prompt is prefilled, or None for prefill in idle time.
        is_last: Whether the chunk completes the prompt.
    """

    slot: SlotId
    source: SlotId | None
    stored: StoredPrefix | None
    tokens: Tokens
    start: int
    adapter: Hashable
    group: SequenceGroup | None
    is_last: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """Instruction to start decoding a sequence, whose prompt is prefilled.

    Attributes:
        sequence: The sequence.
        slot: Its slot.
        source: The slot to copy the prompt from before; None if `slot` contains it already. In
            either case, the slot is then truncated to the prompt.
    """

    sequence: Sequence
    slot: SlotId
    source: SlotId | None


@dataclass(frozen=True, slots=True)
class Step:
    """Work of one step of the engine.

    Attributes:
        work: Chunks to prefill and sequences to start, to be carried out in this order: each may
            need tokens that the work before it leaves in the slots.
        decode: Slots whose sequence decodes one token after that, started sequences included.
    """

    work: tuple[PrefillChunk | Placement, ...]
    decode: tuple[SlotId, ...]


class Scheduler:
    """Decides the work of each step; others carry it out.

    Args:
        num_slots: Maximum number of running sequences, at least 1.
        step_tokens: Maximum number of tokens in a step while choices are running and prompts are
            not behind (see `ChunkPolicy`); it bounds the time between two tokens of a choice.
        max_chunk_tokens: Maximum number of prompt tokens in a step.
        min_chunk_tokens: Minimum number of tokens of a chunk, at least 2; a shorter prompt is one
            chunk.
        batch_invariant_positions: Number of leading positions where generated tokens count as
            computed, like prompt tokens (see `Backend.batch_invariant_positions`).
        find_stored: Finds prefixes on disk.
    """

    def __init__(
        self,
        num_slots: int,
        step_tokens: int,
        max_chunk_tokens: int,
        min_chunk_tokens: int = 2,
        batch_invariant_positions: int = 0,
        find_stored: FindStored | None = None,
    ) -> None:
        if (
            num_slots < 1
            or min_chunk_tokens < 2
            or not 2 * min_chunk_tokens - 1 <= step_tokens <= max_chunk_tokens
        ):
            raise ValueError(
                "`num_slots` must be at least 1, `min_chunk_tokens` at least 2, `step_tokens` at "
                "least 2 * `min_chunk_tokens` - 1, and `max_chunk_tokens` at least `step_tokens`"
            )
        self._chunks = ChunkPolicy(step_tokens, max_chunk_tokens, 2 * min_chunk_tokens - 1)
        self._behind = 0
        self._min_chunk_tokens = min_chunk_tokens
        self._batch_invariant_positions = batch_invariant_positions
        self._find_stored = find_stored
        self._cache = PrefixCache(num_slots, min_chunk_tokens, find_stored)
        self._waiting: deque[SequenceGroup] = deque()
        self._prefilling: SequenceGroup | None = None
        self._placing: SequenceGroup | None = None
        self._running: list[Sequence] = []
        self._groups: dict[str, SequenceGroup] = {}

    @property
    def idle(self) -> bool:
        """Whether there are no requests."""
        return not self._groups

    @property
    def queued(self) -> tuple[SequenceGroup, ...]:
        """The requests whose prefill has not begun, in the order in which they will be served."""
        return tuple(self._waiting)

    @property
    def num_computed_tokens(self) -> int:
        """Number of computed tokens in all slots, without the output of running sequences."""
        return sum(slot.num_computed_tokens for slot in self._cache)

    def groups(self) -> tuple[SequenceGroup, ...]:
        """Returns all requests, oldest first."""
        return tuple(self._groups.values())

    def find(self, request_id: str) -> SequenceGroup | None:
        """Returns a request, or None if it is not in the engine."""
        return self._groups.get(request_id)

    def add(self, group: SequenceGroup) -> None:
        """Adds a request at the end of the queue; a resumed one after the resumed ones there."""
        self._groups[group.request.request_id] = group
        index = len(self._waiting)
        if group.request.resumed:
            index = sum(waiting.request.resumed for waiting in self._waiting)
        self._waiting.insert(index, group)

    def schedule(self) -> Step:
        """Returns the next step, and updates the state as if it were done.

        The caller carries it out, and calls `finish` and `remove` for sequences that end.
        """
        work: list[PrefillChunk | Placement] = list(self._place())
        limit = budget = self._chunks.limit(len(self._running), self._behind)
        while self._placing is None and (chunk := self._next_chunk(budget, budget < limit)):
            work.append(chunk)
            budget -= len(chunk.tokens)
            if chunk.group is not None and chunk.is_last:
                work.append(self._start(chunk.group))
                work.extend(self._place())
        is_behind = self._prefilling or (self._waiting and self._cache.has_free_slot)
        self._behind = self._behind + limit - budget + len(self._running) if is_behind else 0
        return Step(tuple(work), tuple(_slot_of(sequence).number for sequence in self._running))

    def schedule_idle(self) -> PrefillChunk | None:
        """Returns a chunk to prefill while there are no requests, if any.

        It prefills the output of a finished request, so that it becomes a cached prefix.
        """
        slot = self._cache.next_incomplete()
        while slot is not None:
            remaining = slot.tokens.size - slot.num_computed_tokens
            size = self._chunk_size(self._chunks.step_tokens, remaining)
            if min(slot.num_computed_tokens, size) >= self._min_chunk_tokens:
                return self._advance(slot, size, None, None)
            self._cache.release(slot)
            slot = self._cache.next_incomplete()
        return None

    def not_stored(self) -> abc.Sequence[Slot]:
        """Returns the free slots that were not offered to the cache on disk, latest used first."""
        return self._cache.not_stored()

    def finish(self, sequence: Sequence, generated: list[int] | None = None) -> None:
        """Ends a sequence and frees its slot.

        Args:
            sequence: The sequence, which is running.
            generated: Its output. All but the last token may become a cached prefix; the last one
                might not fit into the context.
        """
        group, slot = sequence.group, _slot_of(sequence)
        tokens = np.concatenate((group.tokens, np.array((generated or ())[:-1], np.int32)))
        if group.tokens.size >= self._min_chunk_tokens:
            invariant = min(self._batch_invariant_positions, tokens.size)
            slot.num_computed_tokens = max(slot.num_computed_tokens, invariant)
        self._cache.release(slot, tokens)
        self._running.remove(sequence)
        sequence.status, sequence.slot = Status.FINISHED, None
        if group.is_finished:
            self._forget(group)

    def remove(self, group: SequenceGroup) -> None:
        """Removes a request, whatever its stage."""
        for sequence in group.sequences:
            if sequence.slot is not None:
                self._cache.release(sequence.slot)
            if sequence.status is Status.RUNNING:
                self._running.remove(sequence)
            sequence.status, sequence.slot = Status.FINISHED, None
        self._forget(group)

    def drop_adapter(self, adapter: Hashable) -> None:
        """Drops the cached prefixes of an adapter that no request uses."""
        self._cache.drop_adapter(adapter)

    def restart(self) -> None:
        """Empties all slots, and queues all requests again; none may have output."""
        num_slots = len(list(self._cache))
        self._cache = PrefixCache(num_slots, self._min_chunk_tokens, self._find_stored)
        self._prefilling = self._placing = None
        self._running.clear()
        self._waiting = deque(sorted(self._groups.values(), key=_is_new))
        for group in self._waiting:
            for sequence in group.sequences:
                sequence.status, sequence.slot = Status.WAITING, None

    def _forget(self, group: SequenceGroup) -> None:
        self._groups.pop(group.request.request_id, None)
        if self._prefilling is group:
            self._prefilling = None
        if self._placing is group:
            self._placing = None
        if group in self._waiting:
            self._waiting.remove(group)

    def _start(self, group: SequenceGroup) -> Placement:
        """Starts the first sequence in the slot where the prompt was prefilled."""
        sequence = group.first
        slot = _slot_of(sequence)
        self._run(sequence, slot)
        return Placement(sequence, slot.number, None)

    def _place(self) -> Iterator[Placement]:
        """Starts the other sequences of the request in free slots, as far as there are any."""
        while self._placing is not None and self._cache.has_free_slot:
            group = self._placing
            sequence = group.next_waiting
            claim = self._cache.claim(group.tokens, group.adapter, group.tokens.size)
            assert sequence is not None
            assert claim is not None and claim.num_cached_tokens == group.tokens.size
            self._run(sequence, claim.slot)
            source = claim.source.number if claim.source else None
            yield Placement(sequence, claim.slot.number, source)

    def _run(self, sequence: Sequence, slot: Slot) -> None:
        sequence.status, sequence.slot = Status.RUNNING, slot
        self._running.append(sequence)
        self._placing = sequence.group if sequence.group.next_waiting is not None else None

    def _next_chunk(self, budget: int, has_chunks: bool) -> PrefillChunk | None:
        """Returns a chunk of the prompt that is being prefilled, or of the next one, if it fits.

        Args:
            budget: Maximum number of tokens.
            has_chunks: Whether the step has chunks already, so that a small one can wait.
        """
        claim = None
        if self._prefilling is None and self._waiting and budget >= MIN_CHUNK_TOKENS * has_chunks:
            claim = self._begin(self._waiting[0])
        group = self._prefilling
        if group is None:
            return None
        fills_slot = claim is not None and (claim.source or claim.stored) is not None
        slot = _slot_of(group.first)
        remaining = group.tokens.size - slot.num_computed_tokens
        size = self._chunk_size(budget, remaining)
        if size < (min(remaining, MIN_CHUNK_TOKENS) if has_chunks and not fills_slot else 1):
            return None
        if size == remaining:
            self._prefilling = None
        return self._advance(slot, size, claim, group)

    def _begin(self, group: SequenceGroup) -> SlotClaim | None:
        """Begins the prefill of a request if a slot is free; returns its claim of the slot."""
        max_cached = group.tokens.size - self._min_chunk_tokens
        claim = self._cache.claim(group.tokens, group.adapter, max_cached)
        if claim is None:
            return None
        self._waiting.popleft()
        self._prefilling = group
        group.num_attempts += 1
        group.num_cached_tokens = claim.num_cached_tokens
        group.first.status, group.first.slot = Status.PREFILLING, claim.slot
        return claim

    def _chunk_size(self, budget: int, remaining: int) -> int:
        """Returns the size of a chunk that leaves no tokens, or enough for another chunk."""
        size = min(budget, remaining)
        if 0 < remaining - size < self._min_chunk_tokens:
            size = remaining - self._min_chunk_tokens
        return size if size >= self._min_chunk_tokens or size == remaining else 0

    @staticmethod
    def _advance(
        slot: Slot, size: int, claim: SlotClaim | None, group: SequenceGroup | None
    ) -> PrefillChunk:
        """Counts the next tokens of a slot as computed, and returns their chunk."""
        start, end = slot.num_computed_tokens, slot.num_computed_tokens + size
        slot.num_computed_tokens = end
        source = claim.source.number if claim and claim.source else None
        return PrefillChunk(
            slot=slot.number,
            source=source,
            stored=claim.stored if claim else None,
            tokens=slot.tokens[start:end],
            start=start,
            adapter=slot.adapter,
            group=group,
            is_last=end == slot.tokens.size,
        )


def _is_new(group: SequenceGroup) -> bool:
    return not group.request.resumed


def _slot_of(sequence: Sequence) -> Slot:
    assert sequence.slot is not None, "the sequence has no slot"
    return sequence.slot

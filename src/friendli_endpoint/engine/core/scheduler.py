"""Which sequence does what in the next step: policy only, no model, no threads, no clock.

Room is a free slot: every slot holds one sequence of a fixed length, so nothing that runs is ever
put back. Requests come in in the order they arrived. A request's prompt is prefilled once, by the
slot of its first choice, in pieces, from the longest prefix that some slot holds; the other choices
copy it, and those that find no free slot wait ahead of every later request.

A step is some pieces of prompts, and one token of every choice that runs. Pieces are never smaller
than a least size unless the prompt is: see `engine/llama/kernels.py` for why answers depend on it.
"""

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np

from friendli_endpoint.engine.core.backend import SlotId, Tokens
from friendli_endpoint.engine.core.prefix_cache import Slot, Slots
from friendli_endpoint.engine.core.sequence import Sequence, SequenceGroup, Status

__all__ = ["Placement", "PrefillChunk", "Scheduler", "Step"]

MIN_CHUNK_TOKENS = 16
"""Smaller pieces take more time a token, and are left for the next step."""


@dataclass(frozen=True, slots=True)
class PrefillChunk:
    """Tokens of a slot are to be prefilled.

    Attributes:
        slot: Number of the slot; it is to hold `start` tokens before.
        source: The slot to copy those from; None where it holds them already. What follows them
            there is to be dropped in either case.
        tokens: The tokens, at most as many as a piece may have.
        start: How many tokens the slot holds already.
        adapter: What the weights are changed by.
        group: The request whose prompt it is; None for what is prefilled for later.
        last: Whether the prompt is whole with it.
    """

    slot: SlotId
    source: SlotId | None
    tokens: Tokens
    start: int
    adapter: Hashable
    group: SequenceGroup | None
    last: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """A sequence whose prompt is prefilled starts in a slot.

    Attributes:
        sequence: The sequence.
        slot: Its slot from now on.
        source: The slot to copy the prompt from; None where `slot` holds it already. What follows
            the prompt there is to be dropped in either case.
    """

    sequence: Sequence
    slot: SlotId
    source: SlotId | None


@dataclass(frozen=True, slots=True)
class Step:
    """The work of one turn of the engine.

    Attributes:
        work: Pieces of prompts and choices that start, to be done in this order: each may need
            what those before it leave in the slots.
        decode: Slots whose sequence decodes one token after that, those that start included.
    """

    work: tuple[PrefillChunk | Placement, ...]
    decode: tuple[SlotId, ...]


class Scheduler:
    """Decides; never acts.

    Args:
        slots: How many sequences fit, at least 1.
        piece: Most prompt tokens in a step while other choices run: bounds how long they stall.
        idle_chunk_tokens: Most prompt tokens in a step while none runs.
        min_chunk_tokens: Fewest tokens of a piece, at least 2; a prompt that is shorter is one
        piece.
        batch_invariant_positions: Positions, from the first on, where what was generated is held
        like a prompt.
    """

    def __init__(
        self,
        slots: int,
        piece: int,
        idle_chunk_tokens: int,
        min_chunk_tokens: int = 2,
        batch_invariant_positions: int = 0,
    ) -> None:
        if (
            slots < 1
            or min_chunk_tokens < 2
            or not 2 * min_chunk_tokens - 1 <= piece <= idle_chunk_tokens
        ):
            raise ValueError("a scheduler needs a slot, and room for nearly two least pieces")
        self._piece = piece
        self._idle_chunk_tokens = idle_chunk_tokens
        self._min_chunk_tokens = min_chunk_tokens
        self._batch_invariant_positions = batch_invariant_positions
        self._slots = Slots(slots, min_chunk_tokens)
        self._waiting: deque[SequenceGroup] = deque()
        self._filling: SequenceGroup | None = None
        self._placing: SequenceGroup | None = None
        self._running: list[Sequence] = []
        self._groups: dict[str, SequenceGroup] = {}

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._groups

    @property
    def queued(self) -> tuple[SequenceGroup, ...]:
        """The requests that have not begun."""
        return tuple(self._waiting)

    @property
    def held_tokens(self) -> int:
        """Prompt tokens in the cache."""
        return sum(slot.held for slot in self._slots)

    def groups(self) -> tuple[SequenceGroup, ...]:
        """The requests in the engine, oldest first."""
        return tuple(self._groups.values())

    def find(self, request_id: str) -> SequenceGroup | None:
        """A request, if it is still in the engine."""
        return self._groups.get(request_id)

    def add(self, group: SequenceGroup) -> None:
        """Puts a request at the end of the queue."""
        self._groups[group.request.request_id] = group
        self._waiting.append(group)

    def schedule(self) -> Step:
        """The next step. The scheduler counts all of it as done; `finish` and `remove` follow."""
        work: list[PrefillChunk | Placement] = list(self._place())
        bound = room = self._piece if self._running else self._idle_chunk_tokens
        while self._placing is None and (piece := self._next_piece(room, room < bound)):
            work.append(piece)
            room -= len(piece.tokens)
            if piece.group is not None and piece.last:
                work.append(self._start(piece.group))
                work.extend(self._place())
        return Step(tuple(work), tuple(_slot_of(sequence).number for sequence in self._running))

    def settle(self) -> PrefillChunk | None:
        """Work for idle times: what slots would do good to hold, for the prompts to come."""
        slot = self._slots.unsettled()
        while slot is not None:
            size = self._size(self._piece, slot.tokens.size - slot.held)
            if min(slot.held, size) >= self._min_chunk_tokens:
                return self._advance(slot, size, None, None)
            self._slots.leave(slot)
            slot = self._slots.unsettled()
        return None

    def finish(self, sequence: Sequence, generated: list[int] | None = None) -> None:
        """A sequence has ended.

        Args:
            sequence: The sequence; it runs.
            generated: The tokens it has generated: prompts to come may go on from all but the
                last, which fills the context where it is full.
        """
        group, slot = sequence.group, _slot_of(sequence)
        tokens = np.concatenate((group.tokens, np.array((generated or ())[:-1], np.int32)))
        if group.tokens.size >= self._min_chunk_tokens:
            slot.held = max(slot.held, min(self._batch_invariant_positions, tokens.size))
        self._slots.leave(slot, tokens)
        self._running.remove(sequence)
        sequence.status, sequence.slot = Status.FINISHED, None
        if group.is_finished:
            self._forget(group)

    def remove(self, group: SequenceGroup) -> None:
        """Takes a request out, whatever it is doing."""
        for sequence in group.sequences:
            if sequence.slot is not None:
                self._slots.leave(sequence.slot)
            if sequence.status is Status.RUNNING:
                self._running.remove(sequence)
            sequence.status, sequence.slot = Status.FINISHED, None
        self._forget(group)

    def drop(self, adapter: Hashable) -> None:
        """Forgets what was computed with an adapter that no request uses."""
        self._slots.forget(adapter)

    def restart(self) -> None:
        """Every slot has lost what it held; the requests, without output so far, begin anew."""
        self._slots = Slots(len(list(self._slots)), self._min_chunk_tokens)
        self._filling = self._placing = None
        self._running.clear()
        self._waiting = deque(self._groups.values())
        for group in self._waiting:
            for sequence in group.sequences:
                sequence.status, sequence.slot = Status.WAITING, None

    def _forget(self, group: SequenceGroup) -> None:
        self._groups.pop(group.request.request_id, None)
        if self._filling is group:
            self._filling = None
        if self._placing is group:
            self._placing = None
        if group in self._waiting:
            self._waiting.remove(group)

    def _start(self, group: SequenceGroup) -> Placement:
        """The first sequence runs where the prompt was prefilled."""
        sequence = group.first
        slot = _slot_of(sequence)
        self._run(sequence, slot)
        return Placement(sequence, slot.number, None)

    def _place(self) -> Iterator[Placement]:
        """Slots for the other sequences, as far as there are."""
        while self._placing is not None and self._slots.any_free:
            group = self._placing
            sequence = group.next_waiting
            claim = self._slots.claim(group.tokens, group.adapter, group.tokens.size)
            assert sequence is not None
            assert claim is not None and claim.shared == group.tokens.size
            self._run(sequence, claim.slot)
            source = claim.source.number if claim.source else None
            yield Placement(sequence, claim.slot.number, source)

    def _run(self, sequence: Sequence, slot: Slot) -> None:
        sequence.status, sequence.slot = Status.RUNNING, slot
        self._running.append(sequence)
        self._placing = sequence.group if sequence.group.next_waiting is not None else None

    def _next_piece(self, room: int, later: bool) -> PrefillChunk | None:
        """A piece of the prompt that is being prefilled, or of the next one, if that fits."""
        source = None
        if self._filling is None and self._waiting and room >= MIN_CHUNK_TOKENS * later:
            source = self._begin(self._waiting[0])
        group = self._filling
        if group is None:
            return None
        slot = _slot_of(group.first)
        left = group.tokens.size - slot.held
        size = self._size(room, left)
        if size < (min(left, MIN_CHUNK_TOKENS) if later and source is None else 1):
            return None
        if size == left:
            self._filling = None
        return self._advance(slot, size, source, group)

    def _begin(self, group: SequenceGroup) -> SlotId | None:
        most = group.tokens.size - self._min_chunk_tokens
        claim = self._slots.claim(group.tokens, group.adapter, most)
        if claim is None:
            return None
        self._waiting.popleft()
        self._filling = group
        group.tries += 1
        group.cached = claim.shared
        group.first.status, group.first.slot = Status.PREFILLING, claim.slot
        return claim.source.number if claim.source else None

    def _size(self, room: int, left: int) -> int:
        """How many of the tokens that are left to take, so that none or enough for a piece stay."""
        size = min(room, left)
        if 0 < left - size < self._min_chunk_tokens:
            size = left - self._min_chunk_tokens
        return size if size >= self._min_chunk_tokens or size == left else 0

    @staticmethod
    def _advance(
        slot: Slot, size: int, source: SlotId | None, group: SequenceGroup | None
    ) -> PrefillChunk:
        start, slot.held = slot.held, slot.held + size
        tokens = slot.tokens[start : slot.held]
        last = slot.held == slot.tokens.size
        return PrefillChunk(slot.number, source, tokens, start, slot.adapter, group, last)


def _slot_of(sequence: Sequence) -> Slot:
    assert sequence.slot is not None, "the sequence has no slot"
    return sequence.slot

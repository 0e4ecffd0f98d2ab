"""Which sequence does what in the next step: policy only, no model, no threads, no clock.

Room is a free slot: every slot holds one sequence of a fixed length, so nothing that runs is ever
put back. Requests come in in the order they arrived. A request's prompt is prefilled once, by the
slot of its first choice, in pieces, from the longest prefix that some slot holds; the other choices
copy it, and those that find no free slot wait ahead of every later request.

A step is some pieces of prompts, and one token of every choice that runs. Pieces are never smaller
than a least size unless the prompt is: see `engine/llama/kernels.py` for why answers depend on it.
"""

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from friendli_endpoint.engine.core.prefix_cache import Slot, Slots, Tokens
from friendli_endpoint.generation import GenerationRequest

__all__ = ["Job", "Piece", "Placement", "Scheduler", "Step"]

LEAST_PIECE = 16
"""Smaller pieces take more time a token, and are left for the next step."""


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way through the engine.

    Attributes:
        request: What was asked.
        adapter: What the weights are changed by for it.
        tokens: Its prompt, shape (length,).
        cached: How many tokens of the prompt were held already when it began.
        prompt_slot: Where its prompt is being prefilled, while it is.
        unplaced: Choices that have no slot yet, in order.
        slots: Choice to slot, for the choices that run.
        tries: How often its prefill was begun.
        started: Whether a choice has started; who carries out the steps says so.
    """

    request: GenerationRequest
    adapter: Hashable
    tokens: Tokens
    cached: int = 0
    prompt_slot: Slot | None = None
    unplaced: deque[int] = field(default_factory=deque)
    slots: dict[int, Slot] = field(default_factory=dict)
    tries: int = 0
    started: bool = False

    @property
    def finished(self) -> bool:
        """Whether no choice runs or waits."""
        return not self.slots and not self.unplaced


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens of a slot are to be prefilled.

    Attributes:
        slot: Number of the slot; it is to hold `start` tokens before.
        source: The slot to copy those from; None where it holds them already. What follows them
            there is to be dropped in either case.
        tokens: The tokens, at most as many as a piece may have.
        start: How many tokens the slot holds already.
        adapter: What the weights are changed by.
        job: Whose prompt it is; None for what is prefilled for later.
        last: Whether the prompt is whole with it.
    """

    slot: int
    source: int | None
    tokens: Tokens
    start: int
    adapter: Hashable
    job: Job | None
    last: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """A choice of a prefilled job starts in a slot.

    Attributes:
        job: The job.
        choice: Which of its choices.
        slot: Where it runs from now on.
        source: The slot to copy the prompt from; None where `slot` holds it already. What follows
            the prompt there is to be dropped in either case.
    """

    job: Job
    choice: int
    slot: int
    source: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """The work of one turn of the engine.

    Attributes:
        work: Pieces of prompts and choices that start, to be done in this order: each may need
            what those before it leave in the slots.
        decode: Slots whose choice decodes one token after that, those that start included.
    """

    work: tuple[Piece | Placement, ...]
    decode: tuple[int, ...]


class Scheduler:
    """Decides; never acts.

    Args:
        slots: How many sequences fit, at least 1.
        piece: Most prompt tokens in a step while other choices run: bounds how long they stall.
        full_piece: Most prompt tokens in a step while none runs.
        least_piece: Fewest tokens of a piece, at least 2; a prompt that is shorter is one piece.
        alike: Positions, from the first on, where what was generated is held like a prompt.
    """

    def __init__(
        self, slots: int, piece: int, full_piece: int, least_piece: int = 2, alike: int = 0
    ) -> None:
        if slots < 1 or least_piece < 2 or not 2 * least_piece - 1 <= piece <= full_piece:
            raise ValueError("a scheduler needs a slot, and room for nearly two least pieces")
        self._piece = piece
        self._full_piece = full_piece
        self._least_piece = least_piece
        self._alike = alike
        self._slots = Slots(slots, least_piece)
        self._waiting: deque[Job] = deque()
        self._filling: Job | None = None
        self._placing: Job | None = None
        self._jobs: dict[str, Job] = {}

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._jobs

    @property
    def queued(self) -> Sequence[Job]:
        """The requests that have not begun."""
        return tuple(self._waiting)

    @property
    def held_tokens(self) -> int:
        """Prompt tokens in the cache."""
        return sum(slot.held for slot in self._slots)

    def jobs(self) -> tuple[Job, ...]:
        """The jobs in the engine, oldest first."""
        return tuple(self._jobs.values())

    def find(self, request_id: str) -> Job | None:
        """The job of a request, if it is still in the engine."""
        return self._jobs.get(request_id)

    def add(self, request: GenerationRequest, adapter: Hashable = None) -> Job:
        """Puts a request at the end of the queue."""
        tokens = np.array(request.prompt, np.int32)
        job = Job(request, adapter, tokens, unplaced=deque(range(len(request.choices))))
        self._jobs[request.request_id] = job
        self._waiting.append(job)
        return job

    def schedule(self) -> Step:
        """The next step. The scheduler counts all of it as done; `finish` and `remove` follow."""
        work: list[Piece | Placement] = list(self._place())
        runs = any(job.slots for job in self._jobs.values())
        bound = room = self._piece if runs else self._full_piece
        while self._placing is None and (piece := self._next_piece(room, room < bound)):
            work.append(piece)
            room -= len(piece.tokens)
            if piece.job is not None and piece.last:
                work.append(self._start(piece.job))
                work.extend(self._place())
        decode = tuple(slot.number for job in self._jobs.values() for slot in job.slots.values())
        return Step(tuple(work), decode)

    def settle(self) -> Piece | None:
        """Work for idle times: what slots would do good to hold, for the prompts to come."""
        slot = self._slots.unsettled()
        while slot is not None:
            size = self._size(self._piece, slot.tokens.size - slot.held)
            if min(slot.held, size) >= self._least_piece:
                return self._advance(slot, size, None, None)
            self._slots.leave(slot)
            slot = self._slots.unsettled()
        return None

    def finish(self, job: Job, choice: int, said: Sequence[int] = ()) -> None:
        """A choice has ended.

        Args:
            job: The job.
            choice: Which of its choices.
            said: The tokens it has generated: prompts to come may go on from all but the last,
                which fills the context where it is full.
        """
        slot = job.slots.pop(choice)
        tokens = np.concatenate((job.tokens, np.array(said[:-1], np.int32)))
        if job.tokens.size >= self._least_piece:
            slot.held = max(slot.held, min(self._alike, tokens.size))
        self._slots.leave(slot, tokens)
        if job.finished:
            self._forget(job)

    def remove(self, job: Job) -> None:
        """Takes a job out, whatever it is doing."""
        if job.prompt_slot is not None:
            self._slots.leave(job.prompt_slot)
        for slot in job.slots.values():
            self._slots.leave(slot)
        job.slots.clear()
        job.unplaced.clear()
        self._forget(job)

    def drop(self, adapter: Hashable) -> None:
        """Forgets what was computed with an adapter that no job uses."""
        self._slots.forget(adapter)

    def restart(self) -> None:
        """Every slot has lost what it held; the jobs, none of them started, begin anew."""
        self._slots = Slots(len(list(self._slots)), self._least_piece)
        self._filling = self._placing = None
        self._waiting = deque(self._jobs.values())
        for job in self._waiting:
            job.prompt_slot = None
            job.slots.clear()
            job.unplaced = deque(range(len(job.request.choices)))

    def _forget(self, job: Job) -> None:
        self._jobs.pop(job.request.request_id, None)
        if self._filling is job:
            self._filling = None
        if self._placing is job:
            self._placing = None
        if job in self._waiting:
            self._waiting.remove(job)

    def _start(self, job: Job) -> Placement:
        """The first choice runs where the prompt was prefilled."""
        assert job.prompt_slot is not None
        slot, job.prompt_slot = job.prompt_slot, None
        choice = job.unplaced.popleft()
        job.slots[choice] = slot
        self._placing = job if job.unplaced else None
        return Placement(job, choice, slot.number, None)

    def _place(self) -> Iterator[Placement]:
        """Slots for the other choices, as far as there are."""
        job = self._placing
        while job is not None and self._slots.any_free:
            claim = self._slots.claim(job.tokens, job.adapter, job.tokens.size)
            assert claim is not None and claim.shared == job.tokens.size
            choice = job.unplaced.popleft()
            job.slots[choice] = claim.slot
            source = claim.source.number if claim.source else None
            yield Placement(job, choice, claim.slot.number, source)
            job = self._placing = job if job.unplaced else None

    def _next_piece(self, room: int, later: bool) -> Piece | None:
        """A piece of the prompt that is being prefilled, or of the next one, if that fits."""
        source = None
        if self._filling is None and self._waiting and room >= LEAST_PIECE * later:
            source = self._begin(self._waiting[0])
        job = self._filling
        if job is None or job.prompt_slot is None:
            return None
        slot = job.prompt_slot
        left = job.tokens.size - slot.held
        size = self._size(room, left)
        if size < (min(left, LEAST_PIECE) if later and source is None else 1):
            return None
        if size == left:
            self._filling = None
        return self._advance(slot, size, source, job)

    def _begin(self, job: Job) -> int | None:
        claim = self._slots.claim(job.tokens, job.adapter, job.tokens.size - self._least_piece)
        if claim is None:
            return None
        self._waiting.popleft()
        self._filling = job
        job.tries += 1
        job.prompt_slot, job.cached = claim.slot, claim.shared
        return claim.source.number if claim.source else None

    def _size(self, room: int, left: int) -> int:
        """How many of the tokens that are left to take, so that none or enough for a piece stay."""
        size = min(room, left)
        if 0 < left - size < self._least_piece:
            size = left - self._least_piece
        return size if size >= self._least_piece or size == left else 0

    @staticmethod
    def _advance(slot: Slot, size: int, source: int | None, job: Job | None) -> Piece:
        start, slot.held = slot.held, slot.held + size
        tokens = slot.tokens[start : slot.held]
        last = slot.held == slot.tokens.size
        return Piece(slot.number, source, tokens, start, slot.adapter, job, last)

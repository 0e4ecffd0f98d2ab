"""Which sequence does what in the next step: policy only, no model, no threads, no clock.

Room is a free slot: every slot holds one sequence of a fixed length, so nothing that runs is ever
put back. Requests come in in the order they arrived. A request's prompt is prefilled once, by the
slot of its first choice, in pieces; the other choices copy it, and those that find no free slot
wait ahead of every later request, for as long as some slot still holds their prompt.

A step is at most one piece of one prompt, and one token of every choice that runs. Pieces are
never of one token unless the prompt is: see `engine/llama/context.py` for why answers depend on it.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from friendli_endpoint.generation import GenerationRequest

__all__ = ["Job", "Piece", "Placement", "Scheduler", "Step"]


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way through the engine.

    Attributes:
        request: What was asked.
        filled: How many tokens of the prompt are in the cache of `prompt_slot`.
        prompt_slot: A slot that holds the prompt, as far as it is filled; None while waiting.
        unplaced: Choices that have no slot yet, in order.
        slots: Choice to slot, for the choices that run.
    """

    request: GenerationRequest
    filled: int = 0
    prompt_slot: int | None = None
    unplaced: deque[int] = field(default_factory=deque)
    slots: dict[int, int] = field(default_factory=dict)

    @property
    def prefilled(self) -> bool:
        """Whether the whole prompt is in the cache."""
        return self.filled == len(self.request.prompt)

    @property
    def finished(self) -> bool:
        """Whether no choice runs or waits."""
        return not self.slots and not self.unplaced


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
class Piece:
    """Tokens `start` to `stop` of a job's prompt are to be prefilled into a slot."""

    job: Job
    slot: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Step:
    """The work of one turn of the engine, to be done in this order.

    Attributes:
        placements: Choices that start.
        piece: A piece of a prompt, or None.
        decode: Slots whose choice decodes one token.
    """

    placements: tuple[Placement, ...]
    piece: Piece | None
    decode: tuple[int, ...]


class Scheduler:
    """Decides; never acts.

    Args:
        slots: How many sequences fit, at least 1.
        piece: Most prompt tokens in a step while other choices run: bounds how long they stall.
        full_piece: Most prompt tokens in a step while none runs.
    """

    def __init__(self, slots: int, piece: int, full_piece: int) -> None:
        if slots < 1 or piece < 3 or full_piece < piece:
            raise ValueError("a scheduler needs a slot, and pieces of at least three tokens")
        self._piece = piece
        self._full_piece = full_piece
        self._free = list(range(slots))
        self._waiting: deque[Job] = deque()
        self._filling: Job | None = None
        self._placing: deque[Job] = deque()
        self._jobs: dict[str, Job] = {}

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._jobs

    @property
    def queued(self) -> int:
        """How many requests have not begun."""
        return len(self._waiting)

    def jobs(self) -> tuple[Job, ...]:
        """The jobs in the engine, oldest first."""
        return tuple(self._jobs.values())

    def find(self, request_id: str) -> Job | None:
        """The job of a request, if it is still in the engine."""
        return self._jobs.get(request_id)

    def add(self, request: GenerationRequest) -> Job:
        """Puts a request at the end of the queue."""
        job = Job(request, unplaced=deque(range(len(request.choices))))
        self._jobs[request.request_id] = job
        self._waiting.append(job)
        return job

    def schedule(self) -> Step:
        """The next step. The scheduler counts all of it as done; `finish` and `remove` follow."""
        running = tuple(slot for job in self._jobs.values() for slot in job.slots.values())
        placements = tuple(self._place())
        piece = self._next_piece(bool(running or placements))
        return Step(placements, piece, running)

    def finish(self, job: Job, choice: int) -> None:
        """A choice has ended; its slot is free, and may still serve as a source of the prompt."""
        slot = job.slots.pop(choice)
        self._free.append(slot)
        if job.unplaced:
            job.prompt_slot = slot
        elif job.finished:
            self._forget(job)

    def remove(self, job: Job) -> None:
        """Takes a job out, whatever it is doing."""
        self._free.extend(job.slots.values())
        if job.prompt_slot is not None and not job.slots and not self._is_free(job.prompt_slot):
            self._free.append(job.prompt_slot)
        job.slots.clear()
        job.unplaced.clear()
        self._forget(job)

    def _forget(self, job: Job) -> None:
        self._jobs.pop(job.request.request_id, None)
        if self._filling is job:
            self._filling = None
        for queue in (self._waiting, self._placing):
            if job in queue:
                queue.remove(job)

    def _is_free(self, slot: int) -> bool:
        return slot in self._free

    def _place(self) -> Iterator[Placement]:
        while self._placing and (self._free or self._holds_own_slot(self._placing[0])):
            job = self._placing[0]
            yield self._start_choice(job)
            if not job.unplaced:
                self._placing.popleft()

    def _holds_own_slot(self, job: Job) -> bool:
        return not job.slots and job.prompt_slot is not None and not self._is_free(job.prompt_slot)

    def _start_choice(self, job: Job) -> Placement:
        assert job.prompt_slot is not None
        choice = job.unplaced.popleft()
        source: int | None = None
        if self._holds_own_slot(job):
            slot = job.prompt_slot
        elif self._is_free(job.prompt_slot):
            slot = job.prompt_slot
            self._free.remove(slot)
        else:
            slot, source = self._free.pop(0), job.prompt_slot
        job.slots[choice] = slot
        return Placement(job, choice, slot, source)

    def _next_piece(self, others_run: bool) -> Piece | None:
        if self._filling is None:
            if not self._waiting or not self._free or self._placing:
                return None
            self._filling = self._waiting.popleft()
            self._filling.prompt_slot = self._free.pop(0)
        job = self._filling
        assert job.prompt_slot is not None
        start, total = job.filled, len(job.request.prompt)
        stop = min(total, start + (self._piece if others_run else self._full_piece))
        if total - stop == 1:
            stop -= 1
        job.filled = stop
        if job.prefilled:
            self._filling = None
            self._placing.append(job)
        return Piece(job, job.prompt_slot, start, stop)

"""Carries out what the scheduler decides: prompts, tokens, and what is delivered of them.

It knows tokens and logits, not what they mean: what a choice may do next is its guide's to say.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from friendli_endpoint.engine.core.adapters import Adapter, handle_of
from friendli_endpoint.engine.core.admission import Admission
from friendli_endpoint.engine.core.backend import Backend, Logits
from friendli_endpoint.engine.core.decoding import Decoding
from friendli_endpoint.engine.core.outbox import Outbox
from friendli_endpoint.engine.core.running import Outcome, Running, attempt
from friendli_endpoint.engine.core.sampling import History
from friendli_endpoint.engine.core.scheduler import Job, Piece, Placement, Scheduler
from friendli_endpoint.generation import (
    Deliver,
    GenerationRequest,
    StepReport,
    Vocabulary,
)

__all__ = ["Execution", "Plan"]

log = logging.getLogger("friendli_endpoint.engine")

MOST_TRIES = 2
"""How often a prompt is begun whose prefill makes the backend fail."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much an engine takes on.

    Attributes:
        slots: How many sequences the backend holds.
        piece: Most prompt tokens computed between two tokens of a running choice.
        full_piece: Most prompt tokens computed at once.
        least_piece: Fewest of them, unless a prompt has fewer.
        drafts: Whether a choice that runs alone may be drafted, where that changes no bit.
        queue_requests: Most requests that may wait.
        queue_tokens: Most prompt tokens that may wait, all together.
    """

    slots: int
    piece: int
    full_piece: int
    least_piece: int = 2
    drafts: bool = True
    queue_requests: int = 1024
    queue_tokens: int = 1 << 20


class Execution:
    """The requests in the engine; all calls come from the engine's thread.

    Args:
        backend: Holds the sequences.
        vocabulary: The model's tokens.
        plan: How much is taken on.
        admission: Is told when a request waits no more.
    """

    def __init__(
        self, backend: Backend, vocabulary: Vocabulary, plan: Plan, admission: Admission
    ) -> None:
        self.backend = backend
        self._vocabulary = vocabulary
        self._plan = plan
        self._scheduler = Scheduler(
            plan.slots, plan.piece, plan.full_piece, plan.least_piece, backend.alike
        )
        self._decoding = Decoding(plan.piece, plan.drafts)
        self._running: dict[int, Running] = {}
        self._prompt_logits: dict[str, Logits] = {}
        self._retired: list[Adapter] = []
        self._outbox = Outbox(admission)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return self._scheduler.idle

    def add(
        self,
        request: GenerationRequest,
        adapter: Adapter | None,
        deliver: Deliver,
        submitted: float,
    ) -> None:
        """Takes a request in.

        Args:
            request: What to generate.
            adapter: What the weights are changed by.
            deliver: Takes what comes of it.
            submitted: When it was, in seconds of `monotonic`.
        """
        self._outbox.open(request.request_id, deliver, submitted)
        try:
            self._scheduler.add(request, adapter)
        except Exception as error:
            log.exception("request %s cannot be taken in", request.request_id)
            self._outbox.fail(request, f"the request failed in the engine: {error}")

    def retire(self, adapter: Adapter) -> None:
        """Frees an adapter as soon as no request uses it, and forgets what was computed with it."""
        self._retired.append(adapter)

    def cancel(self, request_id: str) -> None:
        """Takes a request out, if it is still there; nothing more is delivered for it."""
        job = self._scheduler.find(request_id)
        if job is not None:
            self._remove(job)
            self._outbox.close(job.request)

    def step(self) -> tuple[int, int]:
        """One turn; how many choices generated, and how many prompt tokens were computed."""
        step = self._scheduler.schedule()
        prefilled = 0
        for work in step.work:
            if isinstance(work, Piece):
                self._prefill(work)
                prefilled += len(work.tokens)
            elif work.job.request.request_id in self._outbox:  # no sibling has failed it
                self._place(work)
        if step.work:
            self._send()
        slots = [slot for slot in step.decode if slot in self._running]
        if slots:
            for slot, outcome in self._decoding.step(self.backend, self._running, slots):
                self._deliver(slot, outcome)
        self._send()
        self._free_adapters()
        return len(slots), prefilled

    def settle(self) -> bool:
        """Computes a piece of what slots would do good to hold; whether there was one."""
        piece = self._scheduler.settle()
        if piece is not None:
            self._prefill(piece)
        return piece is not None

    def restart(self, fault: Exception) -> None:
        """The backend has lost what it held. Running choices fail; prompts are tried once more."""
        lost = [job for job in self._scheduler.jobs() if job.started or job.tries >= MOST_TRIES]
        self._fail(lost, f"the engine failed: {fault}")
        self._scheduler.restart()

    def end(self, message: str) -> None:
        """Fails all requests and frees the backend; nothing can be done after that."""
        self._running.clear()
        self._prompt_logits.clear()
        self._outbox.end(message)
        self._decoding.close()
        self.backend.close()

    def report(self, seconds: float, decoded: int, prefilled: int) -> StepReport:
        """What there is after a turn, and what was drafted since the last report."""
        drafted, accepted = self._decoding.count_drafts()
        queued = self._scheduler.queued
        generated = sum(len(each.tokens) for each in self._running.values())
        return StepReport(
            seconds=seconds,
            decoded=decoded,
            prefilled=prefilled,
            running=len(self._running),
            queued=len(queued),
            queued_tokens=sum(len(job.request.prompt) for job in queued),
            held_tokens=self._scheduler.held_tokens + generated,
            room_tokens=self._plan.slots * self._vocabulary.context,
            drafted=drafted,
            accepted=accepted,
        )

    def _prefill(self, piece: Piece) -> None:
        if piece.source is not None:
            self.backend.copy(piece.source, piece.slot)
        self.backend.truncate(piece.slot, piece.start)
        if piece.job is not None:
            self._outbox.begin(piece.job.request)
        wanted = piece.job is not None and piece.last
        adapter = handle_of(piece.adapter)
        logits = self.backend.prefill(piece.slot, piece.tokens, piece.start, wanted, adapter)
        if piece.job is not None and logits is not None:
            request_id = piece.job.request.request_id
            self._prompt_logits[request_id] = logits.copy()
            self._outbox.start(request_id, piece.job.cached)

    def _place(self, placement: Placement) -> None:
        job, slot = placement.job, placement.slot
        request = job.request
        if placement.source is not None:
            self.backend.copy(placement.source, slot)
        self.backend.truncate(slot, len(request.prompt))
        choice = request.choices[placement.choice]
        logits = self._prompt_logits[request.request_id]
        history = History(choice.sampling, request.prompt, logits.size)
        job.started = True
        running = Running(job, placement.choice, choice, history, self._vocabulary)
        self._running[slot] = running
        if placement.choice == len(request.choices) - 1:
            del self._prompt_logits[request.request_id]
        self._deliver(slot, attempt(running.take, [logits]))

    def _deliver(self, slot: int, outcome: Outcome) -> None:
        """Hands out what a choice has taken; a fault in it fails its request alone."""
        running = self._running[slot]
        job = running.job
        if isinstance(outcome, Exception):
            log.error("request %s failed", job.request.request_id, exc_info=outcome)
            self._fail([job], f"the request failed in the engine: {outcome}")
            return
        self._outbox.put(job.request.request_id, outcome)
        if outcome[-1].finish is not None:
            del self._running[slot]
            self._scheduler.finish(job, running.index, running.tokens)

    def _send(self) -> None:
        """Sends what is there; requests that cannot be told are taken out."""
        for request_id in self._outbox.send(self._goes_on):
            job = self._scheduler.find(request_id)
            if job is not None:
                self._remove(job)

    def _goes_on(self, request_id: str) -> bool:
        return self._scheduler.find(request_id) is not None

    def _free_adapters(self) -> None:
        used = {job.adapter for job in self._scheduler.jobs()} if self._retired else ()
        unused = [adapter for adapter in self._retired if adapter not in used]
        for adapter in unused:
            self._retired.remove(adapter)
            self._scheduler.drop(adapter)
            try:
                self.backend.free_adapter(adapter.handle)
            except Exception:
                log.exception("the adapter %s cannot be freed", adapter.route)

    def _remove(self, job: Job) -> None:
        """Takes a job out."""
        for slot in job.slots.values():
            self._running.pop(slot.number, None)
        self._scheduler.remove(job)
        self._prompt_logits.pop(job.request.request_id, None)

    def _fail(self, jobs: Sequence[Job], message: str) -> None:
        for job in jobs:
            self._remove(job)
            self._outbox.fail(job.request, message)

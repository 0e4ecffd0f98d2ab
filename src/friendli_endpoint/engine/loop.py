"""One thread that turns requests into tokens: inbox, schedule, prefill, decode, sample, outbox.

The thread owns the backend; everybody else talks to it through the inbox. It knows tokens and
logits, not what they mean: what a choice may do next is its guide's to say.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TypeVar

import numpy as np

from friendli_endpoint.engine.adapters import Adapter, Adapters
from friendli_endpoint.engine.admission import Admission
from friendli_endpoint.engine.backend import Backend, Logits
from friendli_endpoint.engine.forced import ForcedRuns
from friendli_endpoint.engine.running import LONGEST_RUN, Running, look_ahead
from friendli_endpoint.engine.sampling import History
from friendli_endpoint.engine.scheduler import Job, Piece, Placement, Scheduler
from friendli_endpoint.generation import (
    Deliver,
    Failure,
    GenerationRequest,
    Refusal,
    Started,
    StepReport,
    TokenStep,
    Vocabulary,
)

__all__ = ["EngineLoop", "Plan"]

log = logging.getLogger("friendli_endpoint.engine")

IDLE_SECONDS = 0.25
"""How long nothing must happen before the engine works for prompts to come."""

MOST_TRIES = 2
"""How often a prompt is begun whose prefill makes the backend fail."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much an engine takes on.

    Attributes:
        slots: How many sequences the backend holds.
        piece: Most prompt tokens computed between two tokens of a running choice.
        full_piece: Most prompt tokens computed at once.
        least_piece: Fewest of them, unless a prompt has fewer.
        queue_requests: Most requests that may wait.
        queue_tokens: Most prompt tokens that may wait, all together.
    """

    slots: int
    piece: int
    full_piece: int
    least_piece: int = 2
    queue_requests: int = 1024
    queue_tokens: int = 1 << 20


@dataclass(slots=True)
class _Delivery:
    """Where a request's steps go, and what is there to go.

    Attributes:
        deliver: Takes them.
        submitted: When it was, in seconds.
        begun: When work on its prompt began; None before.
        steps: Those of the present turn.
    """

    deliver: Deliver
    submitted: float
    begun: float | None = None
    steps: list[TokenStep] = field(default_factory=list)


class EngineLoop:
    """An `Engine` over a backend.

    Args:
        open_backend: Makes what holds the sequences; called again when it has failed. Closed with
            the engine, by the engine's thread.
        vocabulary: The model's tokens.
        plan: How much it takes on.
        report: Called with every turn, on the engine's thread; must not block or raise.
    """

    def __init__(
        self,
        open_backend: Callable[[], Backend],
        vocabulary: Vocabulary,
        plan: Plan,
        report: Callable[[StepReport], None] = lambda _report: None,
    ) -> None:
        self._open_backend = open_backend
        self._backend = open_backend()
        self._vocabulary = vocabulary
        self._plan = plan
        self._report = report
        self._scheduler = Scheduler(plan.slots, plan.piece, plan.full_piece, plan.least_piece)
        self._running: dict[int, Running] = {}
        self._forced = ForcedRuns(max(plan.piece, LONGEST_RUN))
        self._prompt_logits: dict[str, Logits] = {}
        self._deliveries: dict[str, _Delivery] = {}
        self._guides = ThreadPoolExecutor(1, thread_name_prefix="guides")
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._admission = Admission(plan.queue_requests, plan.queue_tokens)
        self._adapters = Adapters()
        self._closing = False
        self._broken: str | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens."""
        return self._vocabulary

    @property
    def adapters(self) -> Sequence[str]:
        """Routes of the adapters that requests may name."""
        with self._gate:
            return self._adapters.routes

    def submit(self, request: GenerationRequest, deliver: Deliver) -> None:
        """Queues a request.

        Args:
            request: What to generate.
            deliver: Takes what comes of it, on the engine's thread.

        Raises:
            Refusal: The engine is closing or broken, too much waits, or there is no such adapter.
        """
        delivery = _Delivery(deliver, monotonic())
        with self._gate:
            self._check_open()
            adapter = self._adapters.find(request.adapter)
            self._admission.enter(len(request.prompt))
            self._inbox.put(lambda: self._accept(request, adapter, delivery))

    def cancel(self, request_id: str) -> None:
        """Ends a request within one step; nothing more is delivered for it."""
        with self._gate:
            if not self._closing:
                self._inbox.put(lambda: self._cancel(request_id))

    def load_adapter(self, route: str, path: Path) -> None:
        """Makes an adapter known under a route, in the place of one that had it.

        Args:
            route: What requests will call it.
            path: A LoRA for the model, as a GGUF file.

        Raises:
            Refusal: The file is no adapter for this model, or the engine is closing.
        """

        def load() -> None:
            adapter = Adapter(route, self._backend.load_adapter(path))
            with self._gate:
                self._adapters.add(adapter)

        self._ask(load)

    def unload_adapter(self, route: str) -> None:
        """Takes an adapter away; what uses it runs on to its end.

        Raises:
            Refusal: There is none, or the engine is closing.
        """
        with self._gate:
            self._check_open()
            self._adapters.retire(route)
            self._inbox.put(lambda: None)

    def close(self) -> None:
        """Stops after the current step and frees the backend; unfinished requests fail."""
        with self._gate:
            if not self._closing:
                self._closing = True
                self._inbox.put(lambda: None)
        self._thread.join()

    def _check_open(self) -> None:
        if self._closing:
            raise Refusal(
                "the endpoint is shutting down", status=503, code="draining", retry_after=1
            )
        if self._broken is not None:
            raise Refusal(self._broken, status=503, code="engine_failure")

    def _ask(self, work: Callable[[], T]) -> T:
        """Has work done on the engine's thread, and waits for it."""
        answer: Future[T] = Future()

        def do() -> None:
            try:
                answer.set_result(work())
            except BaseException as error:
                answer.set_exception(error)

        with self._gate:
            self._check_open()
            self._inbox.put(do)
        return answer.result()

    def _accept(
        self, request: GenerationRequest, adapter: Adapter | None, delivery: _Delivery
    ) -> None:
        self._deliveries[request.request_id] = delivery
        self._scheduler.add(request, adapter)

    def _cancel(self, request_id: str) -> None:
        job = self._scheduler.find(request_id)
        if job is not None:
            self._remove(job)

    def _run(self) -> None:
        try:
            while not self._closing:
                if self._scheduler.idle:
                    self._rest()
                self._take_messages()
                self._turn()
            self._take_messages()
            self._fail(self._scheduler.jobs(), "the endpoint is shutting down")
        finally:
            self._guides.shutdown()
            self._backend.close()

    def _rest(self) -> None:
        """Waits for a message; when none comes for a while, works for prompts to come."""
        settled = False
        while True:
            try:
                self._inbox.get(timeout=None if settled else IDLE_SECONDS)()
            except queue.Empty:
                self._settle()
                settled = self._inbox.empty()
            else:
                return

    def _settle(self) -> None:
        """Computes what slots would do good to hold, until a message comes."""
        try:
            while self._inbox.empty() and (piece := self._scheduler.settle()):
                self._prefill(piece)
        except Exception as error:
            log.exception("the engine failed in an idle time")
            self._recover(error)

    def _take_messages(self) -> None:
        while not self._inbox.empty():
            self._inbox.get_nowait()()

    def _turn(self) -> None:
        begun = monotonic()
        try:
            decoded, prefilled = self._step()
        except Exception as error:
            log.exception("a step of the engine failed")
            self._recover(error)
            return
        self._free_adapters()
        self._send()
        if decoded or prefilled:
            self._tell(monotonic() - begun, decoded, prefilled)

    def _step(self) -> tuple[int, int]:
        """One turn; how many choices decoded, and how many prompt tokens were computed."""
        step = self._scheduler.schedule()
        prefilled = 0
        for work in step.work:
            if isinstance(work, Piece):
                self._prefill(work)
                prefilled += len(work.tokens)
            elif work.job.request.request_id in self._deliveries:  # no sibling has failed it
                self._place(work)
        if step.work:
            self._send()
        slots = [slot for slot in step.decode if slot in self._running]
        if slots:
            self._generate(slots)
        return len(slots), prefilled

    def _prefill(self, piece: Piece) -> None:
        if piece.source is not None:
            self._backend.copy(piece.source, piece.slot)
        self._backend.truncate(piece.slot, piece.start)
        if piece.job is not None:
            self._begin(piece.job)
        wanted = piece.job is not None and piece.last
        adapter = _handle(piece.adapter)
        logits = self._backend.prefill(piece.slot, piece.tokens, piece.start, wanted, adapter)
        if piece.job is not None and logits is not None:
            self._prompt_logits[piece.job.request.request_id] = logits.copy()
            self._started(piece.job)

    def _begin(self, job: Job) -> None:
        delivery = self._deliveries[job.request.request_id]
        if delivery.begun is None:
            delivery.begun = monotonic()
            with self._gate:
                self._admission.start(len(job.request.prompt))

    def _started(self, job: Job) -> None:
        delivery = self._deliveries[job.request.request_id]
        assert delivery.begun is not None
        waited = delivery.begun - delivery.submitted
        delivery.deliver(Started(job.cached, waited, monotonic() - delivery.begun))

    def _place(self, placement: Placement) -> None:
        job, slot = placement.job, placement.slot
        request = job.request
        if placement.source is not None:
            self._backend.copy(placement.source, slot)
        self._backend.truncate(slot, len(request.prompt))
        choice = request.choices[placement.choice]
        logits = self._prompt_logits[request.request_id]
        history = History(choice.sampling, request.prompt, logits.size)
        job.started = True
        self._running[slot] = Running(job, placement.choice, choice, history, self._vocabulary)
        if placement.choice == len(request.choices) - 1:
            del self._prompt_logits[request.request_id]
        self._advance(slot, logits)

    def _generate(self, slots: Sequence[int]) -> None:
        """A token for each choice, or several where they are forced."""
        for slot in slots:
            self._running[slot].ask_forced()
        forced = {slot: len(self._running[slot].forced) for slot in slots}
        runs = {slot: count for slot, count in forced.items() if count > 1}
        for slot in self._forced.due(runs):
            if slot in self._running:  # no sibling has failed it
                self._follow(slot)
        self._decode([slot for slot in slots if slot in self._running and slot not in runs])

    def _follow(self, slot: int) -> None:
        """Computes what is forced, but for its last token, which the next turn decodes."""
        running = self._running[slot]
        tokens = np.array([running.tokens[-1], *running.forced[:-1]], np.int32)
        outputs = running.job.request.top_logprobs is not None
        adapter = _handle(running.job.adapter)
        rows = self._backend.extend(slot, tokens, running.position, outputs, adapter)
        self._take(slot, lambda: running.follow(rows))

    def _decode(self, slots: Sequence[int]) -> None:
        """A token for each choice; those of one adapter share a batch."""
        ahead = [self._running[slot] for slot in slots if self._running[slot].looks_ahead]
        looking = self._guides.submit(look_ahead, ahead) if ahead else None
        batches: dict[int | None, list[int]] = {}
        for slot in slots:
            batches.setdefault(_handle(self._running[slot].job.adapter), []).append(slot)
        for adapter, batch in batches.items():
            running = [self._running[slot] for slot in batch]
            rows = self._backend.decode(
                batch, [each.tokens[-1] for each in running], [e.position for e in running], adapter
            )
            if looking is not None:
                looking.result()
            for slot, each, logits in zip(batch, running, rows, strict=True):
                if self._running.get(slot) is each:
                    self._advance(slot, logits)

    def _advance(self, slot: int, logits: Logits) -> None:
        """Takes one token for the choice in a slot."""
        running = self._running[slot]
        self._take(slot, lambda: [running.advance(logits)])

    def _take(self, slot: int, take: Callable[[], Sequence[TokenStep]]) -> None:
        """Takes tokens for the choice in a slot; a fault in it fails its request alone."""
        running = self._running[slot]
        job = running.job
        try:
            steps = take()
        except Exception as error:
            log.exception("request %s failed", job.request.request_id)
            self._fail([job], f"the request failed in the engine: {error}")
            return
        self._deliveries[job.request.request_id].steps.extend(steps)
        if steps[-1].finish is not None:
            del self._running[slot]
            self._scheduler.finish(job, running.index, running.tokens)

    def _send(self) -> None:
        for request_id, delivery in list(self._deliveries.items()):
            if delivery.steps:
                steps, delivery.steps = delivery.steps, []
                delivery.deliver(steps)
            if self._scheduler.find(request_id) is None:
                del self._deliveries[request_id]

    def _tell(self, seconds: float, decoded: int, prefilled: int) -> None:
        queued = self._scheduler.queued
        generated = sum(len(each.tokens) for each in self._running.values())
        self._report(
            StepReport(
                seconds=seconds,
                decoded=decoded,
                prefilled=prefilled,
                running=len(self._running),
                queued=len(queued),
                queued_tokens=sum(len(job.request.prompt) for job in queued),
                held_tokens=self._scheduler.held_tokens + generated,
                room_tokens=self._plan.slots * self._vocabulary.context,
            )
        )

    def _free_adapters(self) -> None:
        with self._gate:
            unused = self._adapters.unused({job.adapter for job in self._scheduler.jobs()})
        for adapter in unused:
            self._scheduler.drop(adapter)
            self._backend.free_adapter(adapter.handle)

    def _remove(self, job: Job) -> None:
        request_id = job.request.request_id
        for slot in job.slots.values():
            self._running.pop(slot.number, None)
        self._scheduler.remove(job)
        self._prompt_logits.pop(request_id, None)
        delivery = self._deliveries.pop(request_id)
        if delivery.begun is None:
            with self._gate:
                self._admission.leave(len(job.request.prompt))

    def _fail(self, jobs: Sequence[Job], message: str) -> None:
        for job in jobs:
            deliver = self._deliveries[job.request.request_id].deliver
            self._remove(job)
            deliver(Failure(message))

    def _recover(self, fault: Exception) -> None:
        """Opens the backend anew. Running choices are lost; prompts are tried once more."""
        lost = [job for job in self._scheduler.jobs() if job.started or job.tries >= MOST_TRIES]
        self._fail(lost, f"the engine failed: {fault}")
        self._scheduler.restart()
        try:
            self._backend.close()
            self._backend = self._open_backend()
        except Exception as error:
            log.exception("the engine cannot be started again")
            self._broken = f"the engine failed and cannot be started again: {error}"
            self._fail(self._scheduler.jobs(), self._broken)


def _handle(adapter: object) -> int | None:
    return adapter.handle if isinstance(adapter, Adapter) else None

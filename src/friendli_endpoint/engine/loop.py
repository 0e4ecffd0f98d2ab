"""One thread that turns requests into tokens: inbox, schedule, decode, sample, outbox.

The thread owns the backend; everybody else talks to it through the inbox. It knows tokens and
logits, not what they mean: what a choice may do next is its guide's to say.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.sampling import History, logprobs, sample
from friendli_endpoint.engine.scheduler import Job, Piece, Placement, Scheduler
from friendli_endpoint.generation import (
    Choice,
    Deliver,
    Failure,
    GenerationRequest,
    Refusal,
    TokenStep,
    Vocabulary,
)

__all__ = ["Backend", "EngineLoop"]

log = logging.getLogger("friendli_endpoint.engine")

Logits = NDArray[np.float32]


class Backend(Protocol):
    """Sequences in slots, and the logits of what comes next; see `LlamaContext`."""

    def prefill(
        self, sequence: int, tokens: Sequence[int], position: int, output: bool
    ) -> Logits | None:
        """Appends a piece of a prompt; logits (vocabulary,) after it where they are wanted."""
        ...

    def decode(
        self, sequences: Sequence[int], tokens: Sequence[int], positions: Sequence[int]
    ) -> Logits:
        """Appends one token to each sequence; logits (len(sequences), vocabulary)."""
        ...

    def copy(self, source: int, target: int) -> None:
        """Makes one sequence hold what another holds."""
        ...

    def truncate(self, sequence: int, length: int) -> None:
        """Drops what a sequence holds from position `length` on."""
        ...

    def close(self) -> None:
        """Frees what the backend holds."""
        ...


@dataclass(slots=True, eq=False)
class _Running:
    """A choice in a slot: the token it feeds next, and what its sampling remembers."""

    job: Job
    index: int
    choice: Choice
    history: History
    position: int
    token: int = -1
    generated: int = 0


@dataclass(slots=True)
class _Delivery:
    """Where a request's steps go, and those of the present batch."""

    deliver: Deliver
    steps: list[TokenStep] = field(default_factory=list)


class EngineLoop:
    """An `Engine` over a backend.

    Args:
        backend: Holds the sequences; closed with the engine, by the engine's thread.
        vocabulary: The model's tokens.
        slots: How many sequences the backend holds.
        piece: Most prompt tokens decoded between two tokens of a running choice.
        full_piece: Most prompt tokens decoded at once.
    """

    def __init__(
        self, backend: Backend, vocabulary: Vocabulary, *, slots: int, piece: int, full_piece: int
    ) -> None:
        self._backend = backend
        self._vocabulary = vocabulary
        self._scheduler = Scheduler(slots, piece, full_piece)
        self._running: dict[int, _Running] = {}
        self._prompt_logits: dict[str, Logits] = {}
        self._deliveries: dict[str, _Delivery] = {}
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens."""
        return self._vocabulary

    def submit(self, request: GenerationRequest, deliver: Deliver) -> None:
        """Queues a request.

        Args:
            request: What to generate.
            deliver: Takes the steps, on the engine's thread.

        Raises:
            Refusal: The engine is closing.
        """
        self._post(lambda: self._accept(request, deliver))

    def cancel(self, request_id: str) -> None:
        """Ends a request within one step; nothing more is delivered for it."""
        try:
            self._post(lambda: self._cancel(request_id))
        except Refusal:
            log.debug("request %s was cancelled while closing", request_id)

    def close(self) -> None:
        """Stops after the current step and frees the backend; unfinished requests fail."""
        with self._gate:
            if not self._closing:
                self._closing = True
                self._inbox.put(lambda: None)
        self._thread.join()

    def _post(self, message: Callable[[], None]) -> None:
        with self._gate:
            if self._closing:
                raise Refusal(
                    "the endpoint is shutting down", status=503, code="draining", retry_after=1
                )
            self._inbox.put(message)

    def _accept(self, request: GenerationRequest, deliver: Deliver) -> None:
        self._deliveries[request.request_id] = _Delivery(deliver)
        self._scheduler.add(request)

    def _cancel(self, request_id: str) -> None:
        job = self._scheduler.find(request_id)
        if job is not None:
            self._remove(job)

    def _run(self) -> None:
        try:
            while not self._closing:
                if self._scheduler.idle:
                    self._inbox.get()()
                self._take_messages()
                try:
                    self._step()
                except Exception as error:
                    log.exception("a step of the engine failed")
                    self._fail_all(f"the engine failed: {error}")
            self._take_messages()
            self._fail_all("the endpoint is shutting down")
        finally:
            self._backend.close()

    def _take_messages(self) -> None:
        while not self._inbox.empty():
            self._inbox.get_nowait()()

    def _step(self) -> None:
        step = self._scheduler.schedule()
        for placement in step.placements:
            if not placement.job.finished:  # a fault in an earlier choice has removed it
                self._place(placement)
        if step.piece is not None:
            self._prefill(step.piece)
        slots = [slot for slot in step.decode if slot in self._running]
        if slots:
            self._decode(slots)
        self._send()

    def _place(self, placement: Placement) -> None:
        job, slot = placement.job, placement.slot
        request = job.request
        if placement.source is not None:
            self._backend.copy(placement.source, slot)
        self._backend.truncate(slot, len(request.prompt))
        choice = request.choices[placement.choice]
        logits = self._prompt_logits[request.request_id]
        history = History(choice.sampling, request.prompt, logits.size)
        self._running[slot] = _Running(
            job, placement.choice, choice, history, position=len(request.prompt)
        )
        if placement.choice == len(request.choices) - 1:
            del self._prompt_logits[request.request_id]
        self._advance(slot, logits)

    def _prefill(self, piece: Piece) -> None:
        request = piece.job.request
        if piece.start == 0:
            self._backend.truncate(piece.slot, 0)
        last = piece.stop == len(request.prompt)
        tokens = request.prompt[piece.start : piece.stop]
        logits = self._backend.prefill(piece.slot, tokens, piece.start, last)
        if logits is not None:
            self._prompt_logits[request.request_id] = logits.copy()

    def _decode(self, slots: Sequence[int]) -> None:
        running = [self._running[slot] for slot in slots]
        rows = self._backend.decode(
            slots, [each.token for each in running], [each.position for each in running]
        )
        for slot, each, logits in zip(slots, running, rows, strict=True):
            each.position += 1
            if self._running.get(slot) is each:
                self._advance(slot, logits)

    def _advance(self, slot: int, logits: Logits) -> None:
        """Takes one token for the choice in a slot; a fault in it fails its request alone."""
        running = self._running[slot]
        job = running.job
        try:
            step = self._next_token(running, logits)
        except Exception as error:
            log.exception("request %s failed", job.request.request_id)
            deliver = self._deliveries[job.request.request_id].deliver
            self._remove(job)
            deliver(Failure(f"the request failed in the engine: {error}"))
            return
        self._deliveries[job.request.request_id].steps.append(step)
        if step.finish is not None:
            del self._running[slot]
            self._scheduler.finish(job, running.index)

    def _next_token(self, running: _Running, logits: Logits) -> TokenStep:
        request, choice = running.job.request, running.choice
        forced = choice.guide.forced()
        token = (
            forced[0]
            if forced
            else sample(
                logits, choice.sampling, running.history, running.generated, choice.guide.mask()
            )
        )
        if token is None:
            return TokenStep(running.index, None, b"", finish=choice.guide.exhausted())
        running.token = token
        running.generated += 1
        running.history.accept(token)
        finish = choice.guide.accept(token)
        room = self._vocabulary.context - len(request.prompt)
        if finish is None and running.generated >= min(request.max_tokens, room):
            finish = "length"
        piece = self._vocabulary.piece(token)
        if request.top_logprobs is None:
            return TokenStep(running.index, token, piece, finish=finish)
        own, top = logprobs(logits, token, request.top_logprobs)
        return TokenStep(running.index, token, piece, own, top, finish)

    def _send(self) -> None:
        for request_id, delivery in list(self._deliveries.items()):
            if delivery.steps:
                steps, delivery.steps = delivery.steps, []
                delivery.deliver(steps)
            if self._scheduler.find(request_id) is None:
                del self._deliveries[request_id]

    def _remove(self, job: Job) -> None:
        request_id = job.request.request_id
        for slot in job.slots.values():
            self._running.pop(slot, None)
        self._scheduler.remove(job)
        self._prompt_logits.pop(request_id, None)
        self._deliveries.pop(request_id, None)

    def _fail_all(self, message: str) -> None:
        for job in self._scheduler.jobs():
            deliver = self._deliveries[job.request.request_id].deliver
            self._remove(job)
            deliver(Failure(message))

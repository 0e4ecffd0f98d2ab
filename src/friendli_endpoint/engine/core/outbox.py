"""Delivery of events to requests, with the times that they waited."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from friendli_endpoint.engine.core.admission import Admission, Demand
from friendli_endpoint.generation import (
    EngineError,
    Event,
    Generated,
    GenerationRequest,
    Started,
    TokenStep,
)

__all__ = ["Deliver", "Outbox", "Wake", "wake_all"]

Wake = Callable[[], None]
"""Makes a receiver read what was delivered; called on the engine's thread, may not block or raise.
"""

Deliver = Callable[[Event | EngineError], Wake | None]
"""Receives the events of a request; called on the engine's thread, must not block or raise.

It may return a function that the engine calls before it computes further, once for all the events
of a step, if the functions that it gets are equal.
"""

log = logging.getLogger("friendli_endpoint.engine")


@dataclass(slots=True)
class _Delivery:
    """State of the delivery to one request.

    Attributes:
        deliver: Receives the events.
        submitted: Time of the submission, in seconds of `monotonic`.
        begun: Time when the prefill began, in seconds of `monotonic`; None before.
        started: Whether `Started` was delivered.
        steps: Token steps that are not delivered yet.
        failed: Whether `deliver` has raised, against its contract; it is then called only once
            more, with the error.
    """

    deliver: Deliver
    submitted: float
    begun: float | None = None
    started: bool = False
    steps: list[TokenStep] = field(default_factory=list)
    failed: bool = False

    def send(self, message: Event | EngineError) -> Wake | None:
        """Delivers a message; an exception is logged, and fails this request alone.

        Returns:
            The function that must be called afterwards, if there is one.
        """
        try:
            return self.deliver(message)
        except Exception:
            self.failed = True
            log.exception("an event could not be delivered")
            return None


class Outbox:
    """Pending deliveries of all requests; all calls come from the engine's thread.

    Args:
        admission: The queue's counts, updated when a request leaves the queue.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._deliveries: dict[str, _Delivery] = {}

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._deliveries

    def __len__(self) -> int:
        return len(self._deliveries)

    def open(self, request_id: str, deliver: Deliver, submitted: float) -> None:
        """Adds a request.

        Args:
            request_id: Id of the request.
            deliver: Receives its events.
            submitted: Time of its submission, in seconds of `monotonic`.
        """
        self._deliveries[request_id] = _Delivery(deliver, submitted)

    def begin(self, request: GenerationRequest) -> None:
        """Records that the prefill of a request begins; later calls have no effect."""
        delivery = self._deliveries[request.request_id]
        if delivery.begun is None:
            delivery.begun = monotonic()
            self._admission.leave(Demand.of(request))

    def start(self, request_id: str, num_cached_tokens: int) -> None:
        """Delivers `Started` at once, if it was not delivered before."""
        delivery = self._deliveries[request_id]
        assert delivery.begun is not None
        if delivery.started:
            return
        delivery.started = True
        queue_seconds = delivery.begun - delivery.submitted
        prefill_seconds = monotonic() - delivery.begun
        wake_all([delivery.send(Started(num_cached_tokens, queue_seconds, prefill_seconds))])

    def put(self, request_id: str, steps: Iterable[TokenStep]) -> None:
        """Adds token steps to the next delivery."""
        self._deliveries[request_id].steps.extend(steps)

    def send(self, is_active: Callable[[str], bool]) -> Sequence[str]:
        """Delivers all pending steps, then removes the requests that are no longer active.

        Args:
            is_active: Whether the request of an id is still in the engine.

        Returns:
            Ids of the requests whose delivery failed; they have failed, and are removed too.
        """
        failed, wakes = [], []
        for request_id, delivery in list(self._deliveries.items()):
            if delivery.steps and not delivery.failed:
                steps, delivery.steps = tuple(delivery.steps), []
                wakes.append(delivery.send(Generated(steps, monotonic() - delivery.submitted)))
            if delivery.failed:
                wakes.append(delivery.send(EngineError("the output could not be delivered")))
                failed.append(request_id)
            if delivery.failed or not is_active(request_id):
                del self._deliveries[request_id]
        wake_all(wakes)
        return failed

    def close(self, request: GenerationRequest) -> None:
        """Removes a request with its pending steps."""
        self._pop(request)

    def fail(self, request: GenerationRequest, message: str) -> None:
        """Delivers an error to a request, and removes it."""
        wake_all([self._pop(request).send(EngineError(message))])

    def fail_all(self, message: str, *, is_closing: bool = False) -> None:
        """Delivers an error to all requests, and removes them; see `EngineError`."""
        deliveries, self._deliveries = self._deliveries, {}
        error = EngineError(message, is_closing=is_closing)
        wake_all([delivery.send(error) for delivery in deliveries.values()])

    def _pop(self, request: GenerationRequest) -> _Delivery:
        delivery = self._deliveries.pop(request.request_id)
        if delivery.begun is None:
            self._admission.leave(Demand.of(request))
        return delivery


def wake_all(wakes: Iterable[Wake | None]) -> None:
    """Calls each of the functions once that deliveries have returned."""
    for wake in dict.fromkeys(wakes):
        if wake is not None:
            wake()

"""Where the steps of requests go, and what a request has waited for."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from friendli_endpoint.engine.core.admission import Admission
from friendli_endpoint.generation import (
    EngineError,
    Event,
    Generated,
    GenerationRequest,
    Started,
    TokenStep,
)

__all__ = ["Deliver", "Outbox"]

Deliver = Callable[[Event | EngineError], None]
"""Takes the events of a request; called on the engine's thread, must not block or raise."""

log = logging.getLogger("friendli_endpoint.engine")


@dataclass(slots=True)
class _Delivery:
    """Of one request.

    Attributes:
        deliver: Takes what comes of it.
        submitted: When it was, in seconds of `monotonic`.
        begun: When work on its prompt began; None before.
        started: Whether it was told that its prompt is computed.
        steps: What is to go.
        failed: Whether `deliver` has raised, against its promise; it is not called again then, but
            for the failure.
    """

    deliver: Deliver
    submitted: float
    begun: float | None = None
    started: bool = False
    steps: list[TokenStep] = field(default_factory=list)
    failed: bool = False

    def send(self, message: Event | EngineError) -> None:
        """Delivers a message; a fault in that is logged, and costs this request alone."""
        try:
            self.deliver(message)
        except Exception:
            self.failed = True
            log.exception("a request cannot be told how it goes on")


class Outbox:
    """Deliveries by request; all calls come from the engine's thread.

    Args:
        admission: Is told when a request waits no more.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._deliveries: dict[str, _Delivery] = {}

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._deliveries

    def __len__(self) -> int:
        return len(self._deliveries)

    def open(self, request_id: str, deliver: Deliver, submitted: float) -> None:
        """A request has come."""
        self._deliveries[request_id] = _Delivery(deliver, submitted)

    def begin(self, request: GenerationRequest) -> None:
        """Work on its prompt begins, or goes on."""
        delivery = self._deliveries[request.request_id]
        if delivery.begun is None:
            delivery.begun = monotonic()
            self._admission.start(request.num_prompt_tokens)

    def start(self, request_id: str, cached: int) -> None:
        """Its prompt is computed, so many tokens of it before: that goes out at once, and once."""
        delivery = self._deliveries[request_id]
        assert delivery.begun is not None
        if delivery.started:
            return
        delivery.started = True
        waited = delivery.begun - delivery.submitted
        delivery.send(Started(cached, waited, monotonic() - delivery.begun))

    def put(self, request_id: str, steps: Iterable[TokenStep]) -> None:
        """Steps are to go out."""
        self._deliveries[request_id].steps.extend(steps)

    def send(self, goes_on: Callable[[str], bool]) -> Sequence[str]:
        """Delivers what is there, and forgets the requests that do not go on.

        Returns:
            Ids of the requests that could not be told; they have failed, and are forgotten too.
        """
        failed = []
        for request_id, delivery in list(self._deliveries.items()):
            if delivery.steps and not delivery.failed:
                steps, delivery.steps = tuple(delivery.steps), []
                delivery.send(Generated(steps, monotonic() - delivery.submitted))
            if delivery.failed:
                delivery.send(EngineError("the answer cannot be passed on"))
                failed.append(request_id)
            if delivery.failed or not goes_on(request_id):
                del self._deliveries[request_id]
        return failed

    def close(self, request: GenerationRequest) -> None:
        """Forgets a request and what is to go."""
        self._pop(request)

    def fail(self, request: GenerationRequest, message: str) -> None:
        """Tells a request that it has failed, and forgets it."""
        self._pop(request).send(EngineError(message))

    def end(self, message: str) -> None:
        """Tells all requests that they have failed, and forgets them."""
        deliveries, self._deliveries = self._deliveries, {}
        for delivery in deliveries.values():
            delivery.send(EngineError(message))

    def _pop(self, request: GenerationRequest) -> _Delivery:
        delivery = self._deliveries.pop(request.request_id)
        if delivery.begun is None:
            self._admission.leave(request.num_prompt_tokens)
        return delivery

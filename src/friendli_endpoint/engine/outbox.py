"""Where the steps of requests go, and what a request has waited for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic

from friendli_endpoint.engine.admission import Admission
from friendli_endpoint.generation import Deliver, GenerationRequest, Started, TokenStep

__all__ = ["Outbox"]


@dataclass(slots=True)
class _Delivery:
    """Of one request.

    Attributes:
        deliver: Takes what comes of it.
        submitted: When it was, in seconds of `monotonic`.
        begun: When work on its prompt began; None before.
        steps: What is to go.
    """

    deliver: Deliver
    submitted: float
    begun: float | None = None
    steps: list[TokenStep] = field(default_factory=list)


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
            self._admission.start(len(request.prompt))

    def start(self, request_id: str, cached: int) -> None:
        """Its prompt is computed, so many tokens of it before: that goes out at once."""
        delivery = self._deliveries[request_id]
        assert delivery.begun is not None
        waited = delivery.begun - delivery.submitted
        delivery.deliver(Started(cached, waited, monotonic() - delivery.begun))

    def put(self, request_id: str, steps: Iterable[TokenStep]) -> None:
        """Steps are to go out."""
        self._deliveries[request_id].steps.extend(steps)

    def send(self, goes_on: Callable[[str], bool]) -> None:
        """Delivers what is there, and forgets the requests that do not go on."""
        for request_id, delivery in list(self._deliveries.items()):
            if delivery.steps:
                steps, delivery.steps = delivery.steps, []
                delivery.deliver(steps)
            if not goes_on(request_id):
                del self._deliveries[request_id]

    def close(self, request: GenerationRequest) -> Deliver:
        """Forgets a request and what is to go; gives where its end may be told."""
        delivery = self._deliveries.pop(request.request_id)
        if delivery.begun is None:
            self._admission.leave(len(request.prompt))
        return delivery.deliver

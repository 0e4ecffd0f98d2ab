"""Events of one request, on their way from the fleet's thread to the event loop of its caller."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from friendli_endpoint.generation import (
    EngineError,
    Event,
    GenerationRequest,
    RequestError,
)
from friendli_endpoint.generation.inbox import EventInbox

__all__ = ["Delivery", "Inbox", "deliver"]

Delivery: TypeAlias = Event | EngineError | RequestError | None
"""Delivery to an inbox: an event; None if the request was accepted, a `RequestError` if it was
rejected; or the `EngineError` that ends it."""


class Inbox(EventInbox):
    """Iterator over the events of a request; belongs to one event loop.

    Args:
        request: The request.

    Attributes:
        loop: The event loop.
        accepted: Done when the request was accepted; its exception is the `RequestError` of a
            request that was rejected.
    """

    def __init__(self, request: GenerationRequest) -> None:
        super().__init__(len(request.choices))
        self.loop = asyncio.get_running_loop()
        self.accepted: asyncio.Future[None] = self.loop.create_future()

    def receive(self, delivery: Delivery) -> None:
        """Receives a delivery; called on the event loop."""
        if delivery is not None and not isinstance(delivery, RequestError):
            self.put(delivery)
        elif not self.accepted.done():  # it may be cancelled
            if delivery is None:
                self.accepted.set_result(None)
            else:
                self.is_over = True
                self.accepted.set_exception(delivery)


def deliver(deliveries: Iterable[tuple[Inbox, Delivery]]) -> None:
    """Delivers to inboxes, from another thread than theirs; wakes each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Inbox, Delivery]]] = {}
    for inbox, delivery in deliveries:
        by_loop.setdefault(inbox.loop, []).append((inbox, delivery))
    for loop, own in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(_put_all, own)


def _put_all(deliveries: Sequence[tuple[Inbox, Delivery]]) -> None:
    for inbox, delivery in deliveries:
        inbox.receive(delivery)

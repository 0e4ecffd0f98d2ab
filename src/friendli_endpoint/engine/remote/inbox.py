"""Events of one request, on their way from the fleet's thread to the event loop of its caller."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TypeAlias

from friendli_endpoint.generation import (
    EngineError,
    Event,
    Generated,
    GenerationRequest,
    RequestError,
)

__all__ = ["Delivery", "Inbox", "deliver"]

Delivery: TypeAlias = Event | EngineError | RequestError | None
"""What an inbox receives: None says that the request was accepted, a `RequestError` that it was
rejected."""


class Inbox:
    """Iterator over the events of a request; belongs to one event loop.

    Args:
        request: The request.

    Attributes:
        loop: The event loop.
        accepted: Done when the request was accepted; its exception is the `RequestError` of a
            request that was rejected.
        is_over: Whether all events were read, so that there is nothing to cancel.
    """

    def __init__(self, request: GenerationRequest) -> None:
        self.loop = asyncio.get_running_loop()
        self.accepted: asyncio.Future[None] = self.loop.create_future()
        self._arrived: deque[Event | EngineError] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._unfinished = len(request.choices)
        self.is_over = False

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self.is_over:
            raise StopAsyncIteration
        while not self._arrived:
            self._waiting = self.loop.create_future()
            await self._waiting
        event = self._arrived.popleft()
        if isinstance(event, EngineError):
            self.is_over = True
            raise event
        if isinstance(event, Generated):
            self._unfinished -= event.num_finished
            self.is_over = self._unfinished == 0
        return event

    def put(self, delivery: Delivery) -> None:
        """Receives a delivery; called on the event loop."""
        if delivery is None or isinstance(delivery, RequestError):
            if not self.accepted.done():  # it may be cancelled
                if delivery is None:
                    self.accepted.set_result(None)
                else:
                    self.is_over = True
                    self.accepted.set_exception(delivery)
            return
        self._arrived.append(delivery)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


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
        inbox.put(delivery)

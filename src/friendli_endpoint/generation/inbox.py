"""Events of a request, on their way from the thread that has them to the event loop of the caller.

An engine uses one `EventHandover` for each event loop, and one `EventInbox` for each request:

    handover.put(inbox, event)  # on any thread
    handover.wake()  # the event loop calls `inbox.put(event)` for all events
    async for event in inbox: ...  # on the event loop
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from friendli_endpoint.generation.errors import EngineError
from friendli_endpoint.generation.events import Event, Generated

__all__ = ["EventHandover", "EventInbox"]


class EventInbox:
    """Iterator over the events of a request; belongs to one event loop, and one task iterates.

    It ends when every choice has finished, and raises an `EngineError` that it receives.

    Args:
        num_choices: Number of choices of the request.

    Attributes:
        is_over: Whether all events were read, so that there is nothing to cancel.
    """

    def __init__(self, num_choices: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived: deque[Event | EngineError] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._num_unfinished = num_choices
        self.is_over = False

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self.is_over:
            raise StopAsyncIteration
        while not self._arrived:
            self._waiting = self._loop.create_future()
            await self._waiting
        event = self._arrived.popleft()
        if isinstance(event, EngineError):
            self.is_over = True
            raise event
        if isinstance(event, Generated):
            self._num_unfinished -= event.num_finished
            self.is_over = self._num_unfinished == 0
        return event

    def put(self, event: Event | EngineError) -> None:
        """Receives an event; called on the event loop."""
        self._arrived.append(event)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class EventHandover:
    """Hands events from another thread to inboxes; wakes their event loop once for many.

    A wake takes a system call on the one side, and an iteration of the event loop on the other.

    Args:
        loop: The event loop of the inboxes.

    Attributes:
        loop: As given.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._events: deque[tuple[EventInbox, Event | EngineError]] = deque()

    def put(self, inbox: EventInbox, event: Event | EngineError) -> None:
        """Adds an event, which the next wake hands over; called on any thread."""
        self._events.append((inbox, event))

    def wake(self) -> None:
        """Hands over all events; called on any thread. Nothing happens if the loop is closed."""
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        while self._events:
            inbox, event = self._events.popleft()
            inbox.put(event)

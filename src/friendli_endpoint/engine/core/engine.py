"""`Engine` in this process, and the bridge from its thread to the event loop."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from friendli_endpoint.engine.core.backend import AdapterError
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.core.outbox import Wake
from friendli_endpoint.generation import (
    EngineError,
    Event,
    Generated,
    GenerationRequest,
    ModelCard,
    RequestError,
    draining_error,
)
from friendli_endpoint.generation.inbox import EventHandover, EventInbox
from friendli_endpoint.own_thread import on_own_thread

__all__ = ["LocalEngine"]

MAX_BUFFERED = 32
"""Maximum number of events of a request without streaming that are delivered together."""


class LocalEngine:
    """`Engine` over an `EngineLoop`.

    Args:
        loop: The engine loop.
        card: Facts about the model; its `adapters` are replaced by the loaded ones.
        tried_adapter: Context manager that tries an adapter's file, and gives a copy that is safe
            to load; raises `AdapterError`.
    """

    def __init__(
        self,
        loop: EngineLoop,
        card: ModelCard,
        tried_adapter: Callable[[Path], AbstractContextManager[Path]] = contextlib.nullcontext,
    ) -> None:
        self._loop = loop
        self._card = card
        self._tried_adapter = tried_adapter
        self._inboxes: set[_Inbox] = set()
        self._handover: EventHandover | None = None

    @property
    def card(self) -> ModelCard:
        """Current facts about the model."""
        return replace(self._card, adapters=self._loop.adapters)

    @property
    def is_alive(self) -> bool:
        """Whether requests can still be served, now or once the current step has ended."""
        return self._loop.is_alive

    @property
    def num_ready(self) -> int:
        """1 if requests are served, else 0."""
        return int(self._loop.is_alive)

    @property
    def num_lost(self) -> int:
        """0, because this engine is never started again."""
        return 0

    @property
    def stalled_seconds(self) -> float:
        """Seconds since the last step, while there is work; 0 while there is none."""
        return self._loop.stalled_seconds

    @asynccontextmanager
    async def run(self, request: GenerationRequest) -> AsyncGenerator[AsyncIterator[Event]]:
        """Runs a request: entering submits it, iterating yields its events, leaving cancels it.

        Raises:
            RequestError: The engine rejects the request.
        """
        if self._handover is None or self._handover.loop is not asyncio.get_running_loop():
            self._handover = EventHandover(asyncio.get_running_loop())
        inbox = _Inbox(request, self._handover)
        self._loop.submit(request, inbox.deliver)
        self._inboxes.add(inbox)
        try:
            yield inbox
        finally:
            self._inboxes.discard(inbox)
            if not inbox.is_over:
                self._loop.cancel(request.request_id)

    async def load_adapter(self, route: str, path: Path) -> None:
        """Tries an adapter's file, then loads it; it replaces a loaded adapter of the same route.

        Raises:
            RequestError: The file is not an adapter for this model, or the engine is closing.
        """
        await asyncio.to_thread(self._load_adapter, route, path)

    async def unload_adapter(self, route: str) -> None:
        """Removes an adapter; requests that use it run to their end.

        Raises:
            RequestError: The adapter does not exist, or the engine is closing.
        """
        self._loop.unload_adapter(route)

    async def aclose(self) -> None:
        """Stops after the current step; unfinished requests fail."""
        await on_own_thread(self.close)
        for inbox in self._inboxes:  # an abandoned thread has failed none of its requests
            inbox.close()

    def close(self) -> None:
        """Stops after the current step, for programs without an event loop."""
        self._loop.close()

    def _load_adapter(self, route: str, path: Path) -> None:
        try:
            with self._tried_adapter(path) as tried:
                self._loop.load_adapter(route, tried)
        except AdapterError as error:
            raise RequestError(str(error), param="file", code="adapter_refused") from error


class _Inbox(EventInbox):
    """Events of one request, on their way from the engine's thread to the event loop.

    Events of a stream are delivered at once. Without streaming, the event loop is woken once for
    many events, since whenever it wakes, it takes a processor from the model and finds the CPU
    caches full of weights.
    """

    def __init__(self, request: GenerationRequest, handover: EventHandover) -> None:
        super().__init__(len(request.choices))
        self._handover = handover
        self._max_buffered = 1 if request.stream else MAX_BUFFERED
        self._buffer: list[Event | EngineError] = []

    def close(self) -> None:
        """Ends the events with an error, unless they end before; called on the event loop."""
        self.put(EngineError(draining_error().message, is_closing=True))

    def deliver(self, event: Event | EngineError) -> Wake | None:
        """Implements `Deliver`: receives an event on the engine's thread."""
        self._buffer.append(event)
        can_wait = isinstance(event, Generated) and not event.num_finished
        if can_wait and len(self._buffer) < self._max_buffered:
            return None
        events, self._buffer = self._buffer, []
        for ready in events:
            self._handover.put(self, ready)
        return self._handover.wake

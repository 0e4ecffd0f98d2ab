"""An `Engine` in a thread of this process, and the bridge from that thread to the event loop."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from friendli_endpoint.engine.core.backend import AdapterError
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.generation import (
    EngineError,
    Event,
    Generated,
    GenerationRequest,
    ModelCard,
    RequestError,
)
from friendli_endpoint.own_thread import on_own_thread

__all__ = ["LocalEngine"]

MAX_HELD = 32
"""Events of a whole answer that the event loop is woken for once: nobody waits for each."""


class LocalEngine:
    """An `Engine` over an `EngineLoop`.

    Args:
        loop: Generates.
        card: Facts about the model; the adapters are filled in.
        tried_adapter: Gives a copy of an adapter's file that may be opened; raises `AdapterError`.
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

    @property
    def card(self) -> ModelCard:
        """Facts about the model as they are now."""
        return replace(self._card, adapters=self._loop.adapters)

    @property
    def is_alive(self) -> bool:
        """Whether requests can still be served, now or once the current step has ended."""
        return self._loop.is_alive

    @property
    def stalled_seconds(self) -> float:
        """Seconds since the last step, while there is work; 0 while there is none."""
        return self._loop.stalled_seconds

    @asynccontextmanager
    async def run(self, request: GenerationRequest) -> AsyncGenerator[AsyncIterator[Event]]:
        """Runs a request: entering submits it, iterating gives its events, leaving cancels it.

        Raises:
            RequestError: The engine does not take it.
        """
        inbox = _Inbox(request)
        self._loop.submit(request, inbox.deliver)
        try:
            yield inbox
        finally:
            if not inbox.is_over:
                self._loop.cancel(request.request_id)

    async def load_adapter(self, route: str, path: Path) -> None:
        """Makes an adapter known under a route, once a process of its own has tried the file.

        Raises:
            RequestError: The file is not an adapter for this model, or the engine is closing.
        """
        await asyncio.to_thread(self._load_adapter, route, path)

    async def unload_adapter(self, route: str) -> None:
        """Removes an adapter; requests that use it run on to their end.

        Raises:
            RequestError: There is no such adapter, or the engine is closing.
        """
        self._loop.unload_adapter(route)

    async def aclose(self) -> None:
        """Stops after the current step; requests still in the engine fail."""
        await on_own_thread(self.close)

    def close(self) -> None:
        """Stops after the current step; for programs without an event loop."""
        self._loop.close()

    def _load_adapter(self, route: str, path: Path) -> None:
        try:
            with self._tried_adapter(path) as tried:
                self._loop.load_adapter(route, tried)
        except AdapterError as error:
            raise RequestError(str(error), param="file", code="adapter_refused") from error


class _Inbox:
    """The events of one request, from the engine's thread to the event loop that iterates.

    Those of a stream come at once. For a whole answer the event loop is woken once for many, since
    every time it wakes it takes a processor from the model and finds the caches full of weights.
    """

    def __init__(self, request: GenerationRequest) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[list[Event | EngineError]] = asyncio.Queue()
        self._ready: deque[Event | EngineError] = deque()
        self._max_held = 1 if request.stream else MAX_HELD
        self._held: list[Event | EngineError] = []
        self._unfinished = len(request.choices)
        self.is_over = False

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self.is_over:
            raise StopAsyncIteration
        if not self._ready:
            self._ready.extend(await self._arrived.get())
        event = self._ready.popleft()
        if isinstance(event, EngineError):
            self.is_over = True
            raise event
        if isinstance(event, Generated):
            self._unfinished -= event.num_finished
            self.is_over = self._unfinished == 0
        return event

    def deliver(self, event: Event | EngineError) -> None:
        """Takes an event; called on the engine's thread."""
        self._held.append(event)
        waits = isinstance(event, Generated) and not event.num_finished
        if waits and len(self._held) < self._max_held:
            return
        events, self._held = self._held, []
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, events)

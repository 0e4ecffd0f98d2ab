"""`Engine` over engines in child processes, and the thread that looks after them."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from friendli_endpoint.engine.remote.child import ChildSetup
from friendli_endpoint.engine.remote.connection import new_event_loop
from friendli_endpoint.engine.remote.dispatcher import Dispatcher
from friendli_endpoint.engine.remote.fleet_adapters import FleetAdapters
from friendli_endpoint.engine.remote.inbox import Inbox
from friendli_endpoint.engine.remote.member import LostError, Member
from friendli_endpoint.engine.remote.suspects import Death
from friendli_endpoint.engine.remote.wire import FromEngine, StepDone
from friendli_endpoint.generation import (
    EngineError,
    Event,
    GenerationRequest,
    ModelCard,
    RequestError,
    StepReport,
    draining_error,
)
from friendli_endpoint.own_thread import on_own_thread

__all__ = ["EngineFleet"]

log = logging.getLogger("friendli_endpoint.engine")

EXPIRE_SECONDS = 1.0
"""Interval at which requests are ended that have waited too long for an engine."""

T = TypeVar("T")


class EngineFleet:
    """`Engine` over several engines, each in a child process; a lost one is opened again.

    A request that an engine had accepted goes on in another when it is lost. The event loop of a
    thread of its own looks after the processes, so callers may use any event loop.

    Args:
        setup: Setup of an engine's process.
        num_engines: Number of engines, at least 1.
        max_stalled: Seconds without a step, while there is work, after which an engine is replaced.
        report: Called after every step of an engine, on the fleet's thread, with the duration and
            counts of the step, and the sums over all engines of what is true after it.
    """

    def __init__(
        self,
        setup: ChildSetup,
        num_engines: int,
        max_stalled: float,
        report: Callable[[StepReport], None] = lambda _report: None,
    ) -> None:
        self._report = report
        self._members = tuple(
            Member(
                number,
                setup,
                max_stalled,
                on_open=self._complete,
                on_messages=self._receive,
                on_death=self._lose,
            )
            for number in range(1, num_engines + 1)
        )
        self._adapters = FleetAdapters(self._members)
        self._dispatcher: Dispatcher | None = None
        self._card: ModelCard | None = None
        self._num_lost = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._opening: Future[None] | None = None
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="engines", daemon=True)
        self._thread.start()

    @property
    def card(self) -> ModelCard:
        """Current facts about the model; `num_sequences` is that of all engines together."""
        assert self._card is not None, "the fleet is not open"
        return replace(self._card, adapters=self._adapters.routes)

    @property
    def is_alive(self) -> bool:
        """Whether requests can still be served, now or later."""
        return not self._closed

    @property
    def num_ready(self) -> int:
        """Number of engines that serve."""
        return sum(member.is_ready for member in self._members)

    @property
    def num_lost(self) -> int:
        """Number of engines that were lost since the start."""
        return self._num_lost

    @property
    def stalled_seconds(self) -> float:
        """0, because an engine that stalls is replaced."""
        return 0.0

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the engines that run or are being opened."""
        pids = (member.pid for member in self._members)
        return tuple(pid for pid in pids if pid is not None)

    def open(self) -> None:
        """Opens all engines; blocks until all serve.

        Raises:
            StartError: An engine cannot be opened.
            RequestError: `interrupt` was called.
        """
        self._opening = asyncio.run_coroutine_threadsafe(self._open(), self._loop)
        try:
            self._opening.result()
        except CancelledError:
            raise draining_error() from None

    def interrupt(self) -> None:
        """Interrupts `open` on another thread; returns at once."""
        if self._opening is not None:
            self._opening.cancel()

    @asynccontextmanager
    async def run(self, request: GenerationRequest) -> AsyncGenerator[AsyncIterator[Event]]:
        """Runs a request: entering submits it, iterating yields its events, leaving cancels it.

        Raises:
            RequestError: The request is rejected, or no engine serves (503).
        """
        inbox = Inbox(request)
        self._post(lambda dispatcher: dispatcher.submit(request, inbox))
        try:
            await inbox.accepted
            yield inbox
        finally:
            if not inbox.is_over:
                with contextlib.suppress(RequestError, RuntimeError):  # the fleet is closed
                    self._post(lambda dispatcher: dispatcher.cancel(request.request_id))

    async def load_adapter(self, route: str, path: Path) -> None:
        """Loads an adapter on every engine; it replaces a loaded adapter of the same route.

        Raises:
            RequestError: The file is not an adapter for this model, or the fleet is closing.
        """
        await self._call(self._adapters.load(route, path))

    async def unload_adapter(self, route: str) -> None:
        """Removes an adapter; requests that use it run to their end.

        Raises:
            RequestError: The adapter does not exist, or the fleet is closing.
        """

        async def unload() -> None:
            self._adapters.unload(route)

        await self._call(unload())

    async def aclose(self) -> None:
        """Ends the processes; unfinished requests fail."""
        await on_own_thread(self.close)

    def close(self) -> None:
        """Ends the processes, for programs without an event loop."""
        if self._closed:
            self._thread.join()
            return
        self._closed = True
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def _post(self, action: Callable[[Dispatcher], None]) -> None:
        """Calls a function on the fleet's thread.

        Raises:
            RequestError: The fleet is closed.
        """
        if self._closed:
            raise draining_error()

        def act() -> None:
            assert self._dispatcher is not None
            action(self._dispatcher)

        self._loop.call_soon_threadsafe(act)

    async def _call(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the fleet's thread; it is cancelled with its caller.

        Raises:
            RequestError: The fleet is closing.
        """
        if self._closed:
            work.close()
            raise draining_error()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _open(self) -> None:
        await self._members[0].open()  # the memory that is free decides about its capacity
        first = self._members[0].card
        assert first is not None
        await asyncio.gather(*(member.open(first) for member in self._members[1:]))
        self._adapters.declare(first.adapters)
        sequences = sum(member.card.num_sequences for member in self._members if member.card)
        self._card = replace(first, num_sequences=sequences)
        self._dispatcher = Dispatcher(
            self._members,
            self._adapters,
            deterministic=first.deterministic,
            clock=self._loop.time,
        )
        for member in self._members:
            self._complete(member)
        self._start(self._expire(self._dispatcher))

    async def _close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        if self._dispatcher is not None:
            self._dispatcher.close(EngineError(draining_error().message, is_closing=True))
        await asyncio.gather(*(member.aclose() for member in self._members))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _expire(self, dispatcher: Dispatcher) -> None:
        while True:
            await asyncio.sleep(EXPIRE_SECONDS)
            dispatcher.expire()

    def _complete(self, member: Member) -> None:
        """Makes an engine ready that has been opened, once it has all adapters."""
        if self._dispatcher is None:
            return  # all are opened first
        if self._adapters.is_complete(member):
            self._make_ready(member)
        else:
            self._start(self._load_adapters(member))

    async def _load_adapters(self, member: Member) -> None:
        life = member.life
        with contextlib.suppress(LostError):
            await self._adapters.complete(member)
            if member.life == life:
                self._make_ready(member)

    def _make_ready(self, member: Member) -> None:
        member.is_ready = True
        if self._dispatcher is not None:
            self._dispatcher.dispatch()

    def _receive(self, member: Member, messages: Sequence[FromEngine]) -> None:
        for message in messages:
            if isinstance(message, StepDone):
                self._report_step(message.report)
        if self._dispatcher is not None:
            self._dispatcher.receive(member, messages)

    def _lose(self, member: Member, death: Death) -> None:
        self._num_lost += 1
        if self._dispatcher is not None:
            self._dispatcher.lose(member, death)

    def _report_step(self, step: StepReport) -> None:
        """Reports a step; an exception of the callback ends no engine."""
        try:
            self._report(self._sum(step))
        except Exception:
            log.exception("a step could not be reported")

    def _sum(self, step: StepReport) -> StepReport:
        """Returns a report of one engine with what is true of all."""
        last = [member.last_report for member in self._members if member.last_report is not None]
        return replace(
            step,
            running=sum(report.running for report in last),
            queued=sum(report.queued for report in last),
            kv_cache_tokens=sum(report.kv_cache_tokens for report in last),
            capacity_tokens=sum(report.capacity_tokens for report in last),
        )

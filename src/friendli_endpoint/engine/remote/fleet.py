"""`Engine` over several engines elsewhere, and the thread that looks after them."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from friendli_endpoint.engine.remote.dispatcher import Dispatcher
from friendli_endpoint.engine.remote.fleet_adapters import FleetAdapters
from friendli_endpoint.engine.remote.inbox import Inbox
from friendli_endpoint.engine.remote.loop_thread import LoopThread
from friendli_endpoint.engine.remote.member import LostError, Member
from friendli_endpoint.engine.remote.messages import FromEngine, StepDone
from friendli_endpoint.engine.remote.placement import EnginePlacement
from friendli_endpoint.engine.remote.suspects import Death
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
    """`Engine` over several engines, which may be lost.

    A request that an engine had accepted goes on in another when it is lost. The event loop of a
    thread of its own looks after the engines, so callers may use any event loop.

    Args:
        placement: Opens the engines; closed by the fleet.
        report: Called after every step of an engine, on the fleet's thread, with the duration and
            counts of the step, and the sums over all engines of what is true after it.
    """

    def __init__(
        self,
        placement: EnginePlacement,
        report: Callable[[StepReport], None] = lambda _report: None,
    ) -> None:
        self._report = report
        self._placement = placement
        self._adapters = FleetAdapters(placement.members)
        self._dispatcher: Dispatcher | None = None
        self._card: ModelCard | None = None
        self._num_lost = 0
        self._closed = False
        self._opening: Future[None] | None = None
        self._thread = LoopThread("engines")

    @property
    def card(self) -> ModelCard:
        """Current facts about the model; `num_sequences` is that of all engines together."""
        assert self._card is not None, "the fleet is not open"
        sequences = sum(member.card.num_sequences for member in self._members if member.card)
        return replace(
            self._card,
            num_sequences=sequences or self._card.num_sequences,
            adapters=self._adapters.routes,
        )

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
        """Ids of the processes on this machine of engines that run or are being opened."""
        pids = (member.pid for member in self._members)
        return tuple(pid for pid in pids if pid is not None)

    def open(self) -> None:
        """Opens the engines; blocks until as many serve as the placement wants at the start.

        Raises:
            StartError: An engine cannot be opened.
            RequestError: `interrupt` was called.
        """
        self._opening = self._thread.submit(self._open())
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
        """Ends the engines; unfinished requests fail."""
        await on_own_thread(self.close)

    def close(self) -> None:
        """Ends the engines, for programs without an event loop."""
        if self._closed:
            self._thread.join()
            return
        self._closed = True
        self._thread.submit(self._close()).result()
        self._thread.stop()

    def opened(self, member: Member) -> None:
        """Makes an engine ready that has been opened, once it has all adapters."""
        if self._dispatcher is None:
            return  # as many are opened first as the placement wants
        if self._adapters.is_complete(member):
            self._make_ready(member)
        else:
            self._thread.start(self._load_adapters(member))

    def received(self, member: Member, messages: Sequence[FromEngine]) -> None:
        """Passes on the messages of an engine."""
        for message in messages:
            if isinstance(message, StepDone):
                self._report_step(message.report)
        if self._dispatcher is not None:
            self._dispatcher.receive(member, messages)

    def left(self, member: Member) -> None:
        """Gives the requests that wait to other engines."""
        if self._dispatcher is not None:
            self._dispatcher.dispatch()

    def lost(self, member: Member, death: Death) -> None:
        """Takes the requests of an engine that has ended."""
        self._num_lost += not death.is_planned
        if self._dispatcher is not None:
            self._dispatcher.lose(member, death)

    @property
    def _members(self) -> Sequence[Member]:
        return self._placement.members

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

        self._thread.call(act)

    async def _call(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the fleet's thread; it is cancelled with its caller.

        Raises:
            RequestError: The fleet is closing.
        """
        if self._closed:
            work.close()
            raise draining_error()
        return await asyncio.wrap_future(self._thread.submit(work))

    async def _open(self) -> None:
        self._card = card = await self._placement.open(self)
        self._adapters.declare(card.adapters)
        self._dispatcher = Dispatcher(
            self._members,
            self._adapters,
            deterministic=card.deterministic,
            clock=self._thread.time,
        )
        for member in tuple(self._members):
            if member.is_open:
                self.opened(member)
        self._thread.start(self._expire(self._dispatcher))

    async def _close(self) -> None:
        self._thread.cancel()
        if self._dispatcher is not None:
            self._dispatcher.close(EngineError(draining_error().message, is_closing=True))
        await self._placement.aclose()

    async def _expire(self, dispatcher: Dispatcher) -> None:
        while True:
            await asyncio.sleep(EXPIRE_SECONDS)
            dispatcher.expire()

    async def _load_adapters(self, member: Member) -> None:
        life = member.life
        with contextlib.suppress(LostError):
            await self._adapters.complete(member)
            if member.life == life:
                self._make_ready(member)

    def _make_ready(self, member: Member) -> None:
        member.is_ready = not member.is_leaving
        if self._dispatcher is not None:
            self._dispatcher.dispatch()

    def _report_step(self, step: StepReport) -> None:
        """Reports a step; an exception of the callback ends no engine."""
        try:
            self._report(summed(step, self._members))
        except Exception:
            log.exception("a step could not be reported")


def summed(step: StepReport, members: Sequence[Member]) -> StepReport:
    """Returns the report of a step of one engine, with what is true after it of all."""
    last = [member.last_report for member in members if member.last_report is not None]
    return replace(
        step,
        running=sum(report.running for report in last),
        queued=sum(report.queued for report in last),
        kv_cache_tokens=sum(report.kv_cache_tokens for report in last),
        capacity_tokens=sum(report.capacity_tokens for report in last),
    )

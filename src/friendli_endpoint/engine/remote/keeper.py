"""Keeps one engine running: opens it again when its process ends, and ends a process that hangs."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from friendli_endpoint.engine.remote.child import ChildSetup
from friendli_endpoint.engine.remote.messages import (
    FromEngine,
    Leave,
    LogLine,
    Opened,
    OpeningFailed,
    Pulse,
    ToEngine,
)
from friendli_endpoint.engine.remote.process import EngineProcess
from friendli_endpoint.engine.remote.suspects import Death
from friendli_endpoint.generation import ModelCard, StartError, reason_of

__all__ = ["EngineKeeper"]

log = logging.getLogger("friendli_endpoint.engine")

MAX_STARTS = 3
"""Number of starts that must fail in a row before the endpoint itself cannot start."""

FIRST_DELAY, MAX_DELAY = 0.25, 15.0
"""Seconds before an engine that could not be opened is opened again: doubled each time."""


class EngineKeeper:
    """Keeps one engine running; used on one event loop.

    Args:
        number: Number of the engine, for the log.
        setup: Setup of its process; later engines get the capacity of the first one.
        max_stalled: Seconds without a sign of life, or without a step while there is work, after
            which the process is killed.
        on_open: Called when the engine has been opened, with its card.
        on_messages: Called with the engine's messages about requests, adapters and steps.
        on_death: Called when the process of an engine that had been opened has ended.
    """

    def __init__(
        self,
        number: int,
        setup: ChildSetup,
        max_stalled: float,
        *,
        on_open: Callable[[ModelCard], None],
        on_messages: Callable[[Sequence[FromEngine]], None],
        on_death: Callable[[Death], None],
    ) -> None:
        self.number = number
        self._setup = setup
        self._max_stalled = max_stalled
        self._on_open = on_open
        self._on_messages = on_messages
        self._on_death = on_death
        self._process: EngineProcess | None = None
        self._is_open = self._is_closing = False
        self._opened: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[Death] | None = None
        self._keeping: asyncio.Task[None] | None = None

    def require(self, card: ModelCard) -> None:
        """Makes every engine that is opened from now on have the capacity of a card."""
        self._setup = replace(self._setup, card=card)

    @property
    def is_open(self) -> bool:
        """Whether the engine is open, and its process has not ended."""
        return self._is_open

    @property
    def pid(self) -> int | None:
        """Id of the process of the engine, or of the one that opens it; None if there is none."""
        if self._process is None or self._ended is None or self._ended.done():
            return None
        return self._process.pid

    async def open(self) -> None:
        """Opens the engine for the first time, and keeps it running from then on.

        Raises:
            StartError: The engine cannot be opened: it says so, or its process ends several times.
        """
        for attempt in range(1, MAX_STARTS + 1):
            try:
                await self._start()
                break
            except _LostError as error:
                if attempt == MAX_STARTS or self._is_closing:
                    raise StartError(
                        f"the engine's process ends while it starts: {error}"
                    ) from error
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    def send(self, message: ToEngine) -> None:
        """Sends a message; nothing happens if the engine is not open.

        Raises:
            WireError: The message is too long.
        """
        if self._process is not None:
            self._process.send(message)

    async def leave(self) -> None:
        """Ends the process once its requests have ended, and stops keeping it."""
        self._is_closing = True
        if self._is_open and self._process is not None and self._ended is not None:
            self._process.send(Leave())
            await asyncio.shield(self._ended)
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the process and stops keeping it; may be called while the engine is opened."""
        self._is_closing = True
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
        if self._process is not None:
            await self._process.aclose(is_open=self._is_open)

    async def _keep(self) -> None:
        """Waits for the end of the process, and opens the engine again, for ever."""
        while True:
            assert self._ended is not None
            death = await asyncio.shield(self._ended)
            if self._is_closing:
                return
            log.error("engine %d ended (%s); it is started again", self.number, death.reason)
            delay = FIRST_DELAY
            while not await self._restart(delay):
                await asyncio.sleep(delay)
                delay = min(2 * delay, MAX_DELAY)

    async def _restart(self, delay: float) -> bool:
        """Starts a process again; returns whether its engine was opened."""
        try:
            await self._start()
        except (_LostError, StartError) as error:
            log.error(
                "engine %d cannot start (%s); it is tried again in %g s", self.number, error, delay
            )
            return False
        return True

    async def _start(self) -> None:
        """Starts a process and waits until its engine is open.

        Raises:
            StartError: The engine cannot be opened.
            _LostError: The process cannot be started, or has ended.
        """
        loop = asyncio.get_running_loop()
        opened, ended = self._opened, self._ended = loop.create_future(), loop.create_future()
        process = EngineProcess(self._setup, self._receive, self._end)
        try:
            await process.start()
        except OSError as error:
            raise _LostError(reason_of(error)) from error
        self._process = process
        watching = loop.create_task(self._watch(process))
        ended.add_done_callback(lambda _: watching.cancel())
        try:
            await asyncio.wait({opened, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not opened.done():
                raise _LostError(ended.result().reason)
            opened.result()
        except BaseException:
            await process.aclose()
            raise

    def _receive(self, messages: Sequence[FromEngine]) -> None:
        others: list[FromEngine] = []
        for message in messages:
            match message:
                case Opened(card):
                    self._open(card)
                case OpeningFailed(reason):
                    assert self._opened is not None
                    self._opened.set_exception(StartError(reason))
                case Pulse(is_alive, stalled):
                    self._check_pulse(is_alive, stalled)
                case LogLine(name, level, text):
                    logging.getLogger(name).log(level, "engine %d: %s", self.number, text)
                case _:
                    others.append(message)
        if others:
            self._on_messages(others)

    def _check_pulse(self, is_alive: bool, stalled: float) -> None:
        assert self._process is not None
        if not is_alive:
            self._process.kill_hung("it has failed and cannot be opened again")
        elif stalled > self._max_stalled:
            self._process.kill_hung(f"no step for more than {self._max_stalled:g} s")

    def _open(self, card: ModelCard) -> None:
        assert self._opened is not None
        self._is_open = True
        self.require(card)
        self._opened.set_result(None)
        self._on_open(card)

    def _end(self, death: Death) -> None:
        assert self._ended is not None
        was_open, self._is_open = self._is_open, False
        self._ended.set_result(death)
        if was_open and not self._is_closing:
            self._on_death(death)

    async def _watch(self, process: EngineProcess) -> None:
        """Kills a process that gives no sign of life, as one that is stopped."""
        loop, interval = asyncio.get_running_loop(), self._setup.pulse_seconds
        checked = loop.time()
        while True:
            await asyncio.sleep(interval)
            now = loop.time()
            if now - checked > 2 * interval + 1:
                process.heard_at = now  # this process was stopped itself
            checked = now
            if now - process.heard_at > self._max_stalled:
                process.kill_hung(f"no sign of life for more than {self._max_stalled:g} s")


class _LostError(Exception):
    """The process of an engine ended before the engine was open."""

"""Runs the requests of a front on an engine, and sends what comes of them, a frame a step."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from friendli_endpoint.engine.remote.messages import (
    Accepted,
    AdapterResult,
    Cancel,
    EventBatch,
    Failed,
    FromEngine,
    Leave,
    LoadAdapter,
    LogLine,
    Pulse,
    Rejected,
    StepDone,
    Submit,
    ToEngine,
    UnloadAdapter,
)
from friendli_endpoint.engine.remote.shared_adapters import SharedAdapters
from friendli_endpoint.generation import (
    Engine,
    EngineError,
    GenerationRequest,
    RequestError,
    StepReport,
    reason_of,
)

__all__ = ["EngineServer", "FrameLogHandler", "FrameOutbox"]

log = logging.getLogger("friendli_endpoint.engine")

REPORT_SECONDS = 0.1
"""Maximum time for which the report of a step waits for a frame that has something else to send."""


class FrameOutbox:
    """Collects messages, and sends those of one iteration of the event loop as one frame.

    Args:
        send: Sends a frame with messages, in order; called on the event loop.
    """

    def __init__(self, send: Callable[[Sequence[FromEngine]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._send = send
        self._messages: list[FromEngine] = []
        self._flushing: asyncio.Handle | None = None
        self._reporting: asyncio.TimerHandle | None = None

    def put(self, message: FromEngine) -> None:
        """Adds a message; called on the event loop."""
        last = self._messages[-1] if self._messages else None
        if (
            isinstance(message, EventBatch)
            and isinstance(last, EventBatch)
            and last.number == message.number
        ):  # events of one request that follow each other are one message
            self._messages[-1] = EventBatch(last.number, last.events + message.events)
        else:
            self._messages.append(message)
        if self._flushing is None:
            self._flushing = self._loop.call_soon(self.flush)

    def put_from_thread(self, message: FromEngine) -> None:
        """Adds a message; called on any thread."""
        self._loop.call_soon_threadsafe(self.put, message)

    def report(self, report: StepReport) -> None:
        """Adds the report of a step; called on the engine's thread."""
        self._loop.call_soon_threadsafe(self._add_report, report)

    def flush(self) -> None:
        """Sends all messages at once."""
        messages, self._messages = self._messages, []
        for handle in (self._flushing, self._reporting):
            if handle is not None:
                handle.cancel()
        self._flushing = self._reporting = None
        if messages:
            self._send(messages)

    def _add_report(self, report: StepReport) -> None:
        """Adds a report, which comes after the events of its step and can wait for the next."""
        self._messages.append(StepDone(report))
        if self._flushing is None and self._reporting is None:
            self._reporting = self._loop.call_later(REPORT_SECONDS, self.flush)


class FrameLogHandler(logging.Handler):
    """Sends log lines to the front, which writes them.

    Args:
        outbox: The outbox.
    """

    def __init__(self, outbox: FrameOutbox) -> None:
        super().__init__()
        self._outbox = outbox

    def emit(self, record: logging.LogRecord) -> None:
        """Implements `logging.Handler`."""
        try:
            line = LogLine(record.name, record.levelno, self.format(record))
            self._outbox.put_from_thread(line)
        except Exception:
            self.handleError(record)


class EngineServer:
    """Carries out the messages of a front on an engine; used on one event loop.

    Args:
        engine: The engine.
        adapters: The engine's adapters.
        outbox: Receives what comes of the messages.
        on_close: Called when the front closes the engine.
        on_leave: Called when the front lets the engine leave.
        on_idle: Called when the last request has ended.
    """

    def __init__(
        self,
        engine: Engine,
        adapters: SharedAdapters,
        outbox: FrameOutbox,
        *,
        on_close: Callable[[], None],
        on_leave: Callable[[], None],
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._adapters = adapters
        self._outbox = outbox
        self._on_close = on_close
        self._on_leave = on_leave
        self._on_idle = on_idle
        self._runs: dict[int, asyncio.Task[None]] = {}
        self._calls: set[asyncio.Task[None]] = set()

    @property
    def num_running(self) -> int:
        """Number of requests that have not ended, waiting ones included."""
        return len(self._runs)

    def close(self) -> None:
        """Cancels all requests, because the front is lost."""
        for task in self._runs.values():
            task.cancel()
        self._keep(_start(self._adapters.leave(self)))

    def receive(self, messages: Sequence[ToEngine]) -> None:
        """Begins to carry out messages."""
        for message in messages:
            match message:
                case Submit(number, request):
                    self._runs[number] = task = _start(self._run(number, request))
                    task.add_done_callback(partial(self._forget, number))
                case Cancel(number):
                    if number in self._runs:
                        self._runs[number].cancel()
                case LoadAdapter(call, route, path):
                    self._call(call, self._adapters.load(self, route, Path(path)))
                case UnloadAdapter(call, route):
                    self._call(call, self._adapters.unload(self, route))
                case Leave():
                    self._on_leave()
                case _:
                    self._on_close()

    def _forget(self, number: int, _ended: asyncio.Task[None]) -> None:
        del self._runs[number]
        if not self._runs:
            self._on_idle()

    def pulse(self) -> Pulse:
        """Returns the engine's state."""
        return Pulse(self._engine.is_alive, self._engine.stalled_seconds)

    async def _run(self, number: int, request: GenerationRequest) -> None:
        put = self._outbox.put
        try:
            async with self._engine.run(request) as events:
                put(Accepted(number))
                async for event in events:
                    put(EventBatch(number, (event,)))
        except RequestError as error:
            put(Rejected(number, error))
        except EngineError as error:
            put(Failed(number, error))
        except Exception as error:
            log.exception("request %s failed", request.request_id)
            put(Failed(number, EngineError(f"the request failed: {reason_of(error)}")))

    def _call(self, call: int, work: Coroutine[Any, Any, None]) -> None:
        self._keep(_start(self._answer_call(call, work)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _answer_call(self, call: int, work: Coroutine[Any, Any, None]) -> None:
        error: RequestError | None = None
        try:
            await work
        except RequestError as refusal:
            error = refusal
        except Exception as fault:
            log.exception("an adapter could not be loaded or removed")
            message = f"the engine cannot load or remove the adapter: {reason_of(fault)}"
            error = RequestError(message, status=500, code="engine_failure")
        self._outbox.put(AdapterResult(call, self._engine.card.adapters, error))


def _start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(work)

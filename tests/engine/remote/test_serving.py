"""Requests of a front run on an engine; the events of a step go out in one frame."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from friendli_endpoint.engine.remote.messages import (
    Accepted,
    AdapterResult,
    Cancel,
    Close,
    EventBatch,
    Failed,
    FromEngine,
    LoadAdapter,
    LogLine,
    Pulse,
    Rejected,
    StepDone,
    Submit,
    UnloadAdapter,
)
from friendli_endpoint.engine.remote.serving import (
    EngineServer,
    FrameLogHandler,
    FrameOutbox,
)
from friendli_endpoint.engine.remote.shared_adapters import SharedAdapters
from friendli_endpoint.generation import (
    Engine,
    EngineError,
    Generated,
    Started,
    StepReport,
    TokenFindings,
    TokenStep,
)
from tests.engine.remote.looping import in_event_loop
from tests.engine.remote.scripted_child import request
from tests.http.scripted import ScriptedLoop, scripted_engine, steps
from tests.support.scripted import PATIENCE

REPORT = StepReport(0.1, 1, 0, 1, 0, 10, 100)


class Frames:
    """Frames that an outbox has sent."""

    def __init__(self) -> None:
        self.sent: list[list[FromEngine]] = []
        self.outbox = FrameOutbox(self._send)
        self._changed = asyncio.Event()

    def _send(self, messages: Sequence[FromEngine]) -> None:
        self.sent.append(list(messages))
        self._changed.set()

    @property
    def messages(self) -> list[FromEngine]:
        return [message for frame in self.sent for message in frame]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


def server_of(
    engine: Engine, outbox: FrameOutbox, on_close: Callable[[], None] = lambda: None
) -> EngineServer:
    """Returns the server of an engine's only front."""
    adapters = SharedAdapters(engine)
    return EngineServer(engine, adapters, outbox, on_close=on_close, on_leave=on_close)


def generated(choice: int = 0) -> Generated:
    return Generated((TokenStep(choice, 7, TokenFindings(1)),), 0.5)


@in_event_loop
async def test_what_one_iteration_brings_is_one_frame_and_one_batch_for_each_request() -> None:
    frames = Frames()
    for message in (
        EventBatch(1, (Started(0, 0, 0),)),
        EventBatch(1, (generated(),)),
        EventBatch(2, (generated(),)),
        Accepted(3),
        EventBatch(1, (generated(1),)),
    ):
        frames.outbox.put(message)
    await frames.until(lambda: len(frames.sent) == 1)
    assert frames.messages == [
        EventBatch(1, (Started(0, 0, 0), generated())),
        EventBatch(2, (generated(),)),
        Accepted(3),
        EventBatch(1, (generated(1),)),
    ]


@in_event_loop
async def test_a_report_goes_with_the_next_frame_or_alone_after_a_while() -> None:
    frames = Frames()
    await asyncio.to_thread(frames.outbox.report, REPORT)
    await asyncio.sleep(0)
    frames.outbox.put(Accepted(1))
    await frames.until(lambda: len(frames.messages) == 2)
    assert frames.sent == [[StepDone(REPORT), Accepted(1)]]
    await asyncio.to_thread(frames.outbox.report, REPORT)
    await frames.until(lambda: len(frames.sent) == 2)
    assert frames.sent[1] == [StepDone(REPORT)]


@in_event_loop
async def test_requests_run_fail_are_rejected_and_are_cancelled_by_number() -> None:
    frames, loop = Frames(), ScriptedLoop()
    server = server_of(scripted_engine(loop), frames.outbox)
    server.receive([Submit(5, request("a"))])
    await frames.until(lambda: Accepted(5) in frames.messages)
    loop.deliver(Started(0, 0.0, 0.0))
    loop.deliver(steps("x"))
    loop.deliver(EngineError("it is broken"))
    await frames.until(lambda: isinstance(frames.messages[-1], Failed))
    events = [m for m in frames.messages if isinstance(m, EventBatch)]
    assert [type(event) for batch in events for event in batch.events] == [Started, Generated]
    server.receive([Submit(6, request("b")), Cancel(99)])
    await frames.until(lambda: Accepted(6) in frames.messages)
    server.receive([Cancel(6)])
    async with asyncio.timeout(PATIENCE):
        while loop.cancelled != ["b"]:
            await asyncio.sleep(0)
    assert not [m for m in frames.messages if isinstance(m, Failed | Rejected) and m.number == 6]


@in_event_loop
async def test_adapter_calls_are_answered_with_their_errors() -> None:
    frames, loop = Frames(), ScriptedLoop()
    server = server_of(scripted_engine(loop), frames.outbox)
    server.receive([UnloadAdapter(3, "none"), LoadAdapter(4, "a", "/a")])
    await frames.until(lambda: len(frames.messages) == 2)
    results = [message for message in frames.messages if isinstance(message, AdapterResult)]
    assert sorted(result.call for result in results) == [3, 4]
    assert all(result.error is not None and result.error.status == 500 for result in results)


@in_event_loop
async def test_closing_and_the_state_of_the_engine() -> None:
    closed: list[bool] = []
    frames, loop = Frames(), ScriptedLoop()
    server = server_of(scripted_engine(loop), frames.outbox, lambda: closed.append(True))
    assert server.pulse() == Pulse(True, 0.0)
    loop.is_alive, loop.stalled_seconds = False, 3.0
    assert server.pulse() == Pulse(False, 3.0)
    server.receive([Close()])
    assert closed == [True]


@in_event_loop
async def test_log_lines_are_sent_with_their_tracebacks() -> None:
    frames = Frames()
    logger = logging.Logger("some.logger")
    logger.addHandler(FrameLogHandler(frames.outbox))
    try:
        raise ValueError("a fault")
    except ValueError:
        logger.exception("it %s", "failed")
    await frames.until(lambda: bool(frames.messages))
    (line,) = frames.messages
    assert isinstance(line, LogLine)
    assert (line.logger, line.level) == ("some.logger", logging.ERROR)
    assert line.text.startswith("it failed\nTraceback") and "a fault" in line.text

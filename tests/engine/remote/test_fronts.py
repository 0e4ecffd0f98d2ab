"""Endpoints that connect to an engine by TCP have to know its secret."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from friendli_endpoint.engine.remote import fronts as fronts_module
from friendli_endpoint.engine.remote.connection import EngineConnection
from friendli_endpoint.engine.remote.fronts import Fronts
from friendli_endpoint.engine.remote.messages import (
    FROM_ENGINE,
    TO_ENGINE,
    FromEngine,
    Leaving,
    Listening,
    Opened,
    StepDone,
    Submit,
)
from friendli_endpoint.engine.remote.serving import FrameOutbox
from friendli_endpoint.engine.remote.wire import encode
from friendli_endpoint.generation import StepReport
from tests.engine.remote.looping import in_event_loop
from tests.engine.remote.scripted_child import request
from tests.http.scripted import CARD, ScriptedLoop, scripted_engine
from tests.support.scripted import PATIENCE

LOOPBACK = "127.0.0.1"
REPORT = StepReport(0.1, 1, 0, 1, 0, 10, 100)


class Front:
    """An endpoint's end of a connection."""

    def __init__(self, listening: Listening) -> None:
        self.messages: list[FromEngine] = []
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.connection = EngineConnection(
            FROM_ENGINE, self.messages.extend, self.ended.set_result, listening.secret
        )

    async def until(self, message: FromEngine) -> None:
        async with asyncio.timeout(PATIENCE):
            while message not in self.messages:
                await asyncio.sleep(0.001)


async def connected(listening: Listening) -> Front:
    front = Front(listening)
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: front.connection, LOOPBACK, listening.port)
    return front


@asynccontextmanager
async def serving(loop: ScriptedLoop) -> AsyncIterator[tuple[Fronts, Listening]]:
    fronts = Fronts(FrameOutbox(lambda _messages: None))
    try:
        yield fronts, await fronts.listen(LOOPBACK, scripted_engine(loop))
    finally:
        fronts.close()


@in_event_loop
async def test_every_front_gets_the_card_reports_and_only_its_own_events() -> None:
    loop = ScriptedLoop()
    async with serving(loop) as (fronts, listening):
        first, second = await connected(listening), await connected(listening)
        for front in (first, second):
            await front.until(Opened(CARD))
        first.connection.send(encode(TO_ENGINE, [Submit(7, request("a"))]))
        async with asyncio.timeout(PATIENCE):
            while len(first.messages) < 2:
                await asyncio.sleep(0.001)
        await asyncio.to_thread(fronts.report, REPORT)
        for front in (first, second):
            await front.until(StepDone(REPORT))
        assert len(first.messages) == 3 and len(second.messages) == 2
        first.connection.close()
        async with asyncio.timeout(PATIENCE):
            while loop.cancelled != ["a"]:
                await asyncio.sleep(0.001)
        second.connection.close()


@in_event_loop
async def test_a_front_with_another_secret_learns_nothing() -> None:
    async with serving(ScriptedLoop()) as (_, listening):
        front = await connected(replace(listening, secret=bytes(len(listening.secret))))
        async with asyncio.timeout(PATIENCE):
            await front.ended
        assert front.messages == []


@in_event_loop
async def test_a_front_that_sends_no_secret_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fronts_module, "SECRET_SECONDS", 0.01)
    async with serving(ScriptedLoop()) as (_, listening):
        reader, writer = await asyncio.open_connection(LOOPBACK, listening.port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            async with asyncio.timeout(PATIENCE):
                await reader.readexactly(1)
        writer.close()


@in_event_loop
async def test_an_engine_leaves_when_its_requests_have_ended() -> None:
    loop = ScriptedLoop()
    async with serving(loop) as (fronts, listening):
        front = await connected(listening)
        front.connection.send(encode(TO_ENGINE, [Submit(7, request("a"))]))
        async with asyncio.timeout(PATIENCE):
            while len(front.messages) < 2:
                await asyncio.sleep(0.001)
        leaving = asyncio.create_task(fronts.leave())
        await front.until(Leaving())
        assert not leaving.done()
        front.connection.close()
        async with asyncio.timeout(PATIENCE):
            await leaving
        assert loop.cancelled == ["a"]

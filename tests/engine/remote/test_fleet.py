"""A fleet answers every accepted request as if no engine had ever been lost."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from friendli_endpoint.engine.remote import dispatcher
from friendli_endpoint.engine.remote.child import ChildSetup
from friendli_endpoint.engine.remote.fleet import EngineFleet
from friendli_endpoint.engine.remote.placement import ChildProcesses
from friendli_endpoint.generation import (
    EngineError,
    GenerationRequest,
    RequestError,
    Started,
    StepReport,
)
from tests.engine.remote.asking import answer, mixed, until
from tests.engine.remote.looping import in_event_loop
from tests.engine.remote.scripted_child import CRASH, GATE, HANG, STOP, request
from tests.support.scripted import PATIENCE

MakeSetup = Callable[..., ChildSetup]


@asynccontextmanager
async def fleet_of(
    setup: ChildSetup,
    num_engines: int,
    max_stalled: float = PATIENCE,
    report: Callable[[StepReport], None] = lambda _report: None,
) -> AsyncIterator[EngineFleet]:
    fleet = EngineFleet(ChildProcesses(setup, num_engines, max_stalled), report)
    try:
        await asyncio.to_thread(fleet.open)
        yield fleet
    finally:
        await fleet.aclose()
    assert fleet.pids == ()


@in_event_loop
async def test_requests_give_the_same_answers_on_any_number_of_engines(
    setup_of: MakeSetup,
) -> None:
    async with fleet_of(setup_of(), 1) as single, fleet_of(setup_of(), 2) as double:
        for sent in mixed(6):
            assert await answer(single, sent) == await answer(double, sent)
        assert single.card.num_sequences == 4 and double.card.num_sequences == 8


@in_event_loop
async def test_every_engine_after_the_first_gets_its_capacity(
    setup_of: MakeSetup, tmp_path: Path
) -> None:
    async with fleet_of(setup_of(), 2) as fleet:
        first, second = fleet.pids
        assert [path.name for path in tmp_path.glob("like-*")] == [f"like-{second}"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: fleet.num_lost == 1 and fleet.num_ready == 2)
        assert {path.read_text() for path in tmp_path.glob("like-*")} == {"4"}
        assert len(list(tmp_path.glob("like-*"))) == 2


@pytest.mark.parametrize("num_engines", [1, 2])
@in_event_loop
async def test_running_and_queued_requests_survive_the_kill_of_an_engine(
    setup_of: MakeSetup, tmp_path: Path, num_engines: int
) -> None:
    requests = mixed(12, GATE)
    gate = tmp_path / "open"
    gate.touch()
    async with fleet_of(setup_of(), num_engines) as fleet:
        alone = [await answer(fleet, sent) for sent in requests]
        gate.unlink()
        begun = asyncio.Event()
        answering = [asyncio.create_task(answer(fleet, sent, begun.set)) for sent in requests]
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        killed = fleet.pids[0]
        os.kill(killed, signal.SIGKILL)
        gate.touch()
        assert await asyncio.gather(*answering) == alone
        await until(lambda: len(fleet.pids) == num_engines and killed not in fleet.pids)


@in_event_loop
async def test_a_request_survives_two_kills_in_a_row(setup_of: MakeSetup, tmp_path: Path) -> None:
    sent, gate = request("a", GATE, choices=3, max_tokens=10), tmp_path / "open"
    gate.touch()
    async with fleet_of(setup_of(), 1) as fleet:
        alone = await answer(fleet, sent)
        gate.unlink()
        begun = asyncio.Event()
        answering = asyncio.create_task(answer(fleet, sent, begun.set))
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        for _ in range(2):
            (killed,) = fleet.pids
            os.kill(killed, signal.SIGKILL)
            await until(lambda killed=killed: fleet.num_ready == 1 and killed not in fleet.pids)  # type: ignore[misc]
        gate.touch()
        assert await answering == alone


@pytest.mark.parametrize("fault", [CRASH, HANG, STOP])
@in_event_loop
async def test_only_the_request_that_ends_engines_fails(
    setup_of: MakeSetup, tmp_path: Path, fault: int
) -> None:
    gate = tmp_path / "open"
    gate.touch()
    others = mixed(6)
    async with fleet_of(setup_of(), 2, max_stalled=1) as fleet:
        alone = [await answer(fleet, sent) for sent in others]
        answering = [asyncio.create_task(answer(fleet, sent)) for sent in others]
        with pytest.raises((EngineError, RequestError)) as refusal:
            await answer(fleet, request("bad", fault))
        assert "while it ran only this request" in str(refusal.value)
        assert getattr(refusal.value, "status", 500) == 500
        assert await asyncio.gather(*answering) == alone


@in_event_loop
async def test_an_engine_that_is_killed_repeatedly_makes_no_suspects(
    setup_of: MakeSetup, tmp_path: Path
) -> None:
    sent, gate = request("a", GATE, max_tokens=10), tmp_path / "open"
    gate.touch()
    async with fleet_of(setup_of(), 1) as fleet:
        alone = await answer(fleet, sent)
        gate.unlink()
        answering = asyncio.create_task(answer(fleet, sent))
        for _ in range(4):
            await until(lambda: fleet.num_ready > 0)
            (killed,) = fleet.pids
            os.kill(killed, signal.SIGKILL)
            await until(lambda killed=killed: killed not in fleet.pids)  # type: ignore[misc]
        gate.touch()
        assert await answering == alone


@in_event_loop
async def test_new_requests_wait_while_the_only_engine_is_started_again(
    setup_of: MakeSetup,
) -> None:
    async with fleet_of(setup_of(), 1) as fleet:
        alone = [await answer(fleet, sent) for sent in mixed(6)]
        os.kill(fleet.pids[0], signal.SIGKILL)
        await until(lambda: not fleet.num_ready)
        assert fleet.is_alive
        async with asyncio.TaskGroup() as group:
            answering = [group.create_task(answer(fleet, sent)) for sent in mixed(6)]
        assert [task.result() for task in answering] == alone


@in_event_loop
async def test_requests_that_waited_for_an_engine_are_served_although_its_queue_is_short(
    setup_of: MakeSetup,
) -> None:
    async with fleet_of(setup_of(sequences=1, max_queue=1), 1) as fleet:
        alone = [await answer(fleet, request(f"r{number}", number)) for number in range(6)]
        os.kill(fleet.pids[0], signal.SIGKILL)
        await until(lambda: not fleet.num_ready)
        async with asyncio.TaskGroup() as group:
            answering = [
                group.create_task(answer(fleet, request(f"r{number}", number)))
                for number in range(6)
            ]
        assert [task.result() for task in answering] == alone


@in_event_loop
async def test_new_requests_get_a_503_when_no_engine_could_be_started_for_long(
    setup_of: MakeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "HOLD_SECONDS", -1.0)
    async with fleet_of(setup_of(), 1) as fleet:
        os.kill(fleet.pids[0], signal.SIGKILL)
        await until(lambda: not fleet.num_ready)
        with pytest.raises(RequestError) as refusal:
            await answer(fleet, request("a"))
        assert (refusal.value.status, refusal.value.code) == (503, "engine_starting")
        assert refusal.value.retry_after == 1
        await until(lambda: fleet.num_ready > 0)
        assert await answer(fleet, request("b"))


@in_event_loop
async def test_a_full_queue_is_one_of_all_engines(setup_of: MakeSetup, tmp_path: Path) -> None:
    async with fleet_of(setup_of(sequences=1, max_queue=1), 2) as fleet:
        begun: list[str] = []
        answering = []
        for number in range(4):
            sent = request(f"r{number}", GATE, max_tokens=10)
            entered = asyncio.Event()
            answering.append(asyncio.create_task(held(fleet, sent, entered, begun)))
            async with asyncio.timeout(PATIENCE):
                await entered.wait()
            if number < 2:
                await until(lambda count=number + 1: len(begun) == count)  # type: ignore[misc]
        with pytest.raises(RequestError) as refusal:
            await answer(fleet, request("more", GATE))
        assert refusal.value.status == 429 and refusal.value.retry_after
        (tmp_path / "open").touch()
        assert await asyncio.gather(*answering) == [10] * 4


async def held(
    fleet: EngineFleet, sent: GenerationRequest, entered: asyncio.Event, begun: list[str]
) -> int:
    """Runs a request; records when it is accepted and when it begins; returns its tokens."""
    tokens = 0
    async with fleet.run(sent) as events:
        entered.set()
        async for event in events:
            if isinstance(event, Started):
                begun.append(sent.request_id)
            else:
                tokens += len(event.steps)
    return tokens


@in_event_loop
async def test_a_request_that_is_left_is_cancelled_in_its_engine(
    setup_of: MakeSetup, tmp_path: Path
) -> None:
    reports: list[StepReport] = []
    async with fleet_of(setup_of(), 2, report=reports.append) as fleet:
        for number in range(8):
            async with fleet.run(request(f"r{number}", GATE, max_tokens=100)):
                pass
        (tmp_path / "open").touch()
        await answer(fleet, request("last-1", 70))
        await answer(fleet, request("last-2", 71))
        await until(lambda: bool(reports) and reports[-1].running == 0)


@in_event_loop
async def test_closing_fails_the_requests_that_run(setup_of: MakeSetup) -> None:
    async with fleet_of(setup_of(), 1) as fleet:
        async with fleet.run(request("a", GATE)) as events:
            await anext(events)
            await fleet.aclose()
            with pytest.raises(EngineError) as failure:
                async for _ in events:
                    pass
            assert failure.value.is_closing
        with pytest.raises(RequestError) as refusal:
            await answer(fleet, request("b"))
        assert refusal.value.code == "draining"


@in_event_loop
async def test_opening_can_be_interrupted(setup_of: MakeSetup) -> None:
    fleet = EngineFleet(ChildProcesses(setup_of(), 2, PATIENCE))
    opening = asyncio.create_task(asyncio.to_thread(fleet.open))
    await until(lambda: bool(fleet.pids))
    fleet.interrupt()
    with pytest.raises(RequestError):
        await opening
    await fleet.aclose()
    assert fleet.pids == ()

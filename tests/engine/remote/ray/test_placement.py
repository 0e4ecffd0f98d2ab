"""Endpoints find engines elsewhere, share them, and answer as if none had ever been lost."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from friendli_endpoint.engine.remote.child import ChildSetup
from friendli_endpoint.engine.remote.fleet import EngineFleet
from friendli_endpoint.engine.remote.ray import placement
from friendli_endpoint.engine.remote.ray.placement import RayEngines
from friendli_endpoint.generation import EngineError, RequestError, StartError, StepReport
from tests.engine.remote.asking import answer, mixed, until
from tests.engine.remote.looping import in_event_loop
from tests.engine.remote.ray.scripted_cluster import (
    SETTINGS,
    ScriptedCluster,
    cluster_of,
    front_of,
)
from tests.engine.remote.scripted_child import CRASH, GATE, request
from tests.support.scripted import PATIENCE

MakeSetup = Callable[..., ChildSetup]


def pids(folder: Path) -> set[int]:
    """Returns the process ids of the engines that run."""
    found = set()
    for path in folder.glob("pid-*"):
        pid = int(path.name.removeprefix("pid-"))
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            continue
        found.add(pid)
    return found


@in_event_loop
async def test_two_endpoints_share_engines_and_get_the_same_answers(setup_of: MakeSetup) -> None:
    reports: list[StepReport] = []
    async with cluster_of(setup_of(), 2) as cluster:
        async with front_of(cluster) as first, front_of(cluster, reports.append) as second:
            alone = [await answer(first, sent) for sent in mixed(8)]
            renamed = [replace(sent, request_id=f"o{sent.request_id}") for sent in mixed(8)]
            async with asyncio.TaskGroup() as group:
                answers = [group.create_task(answer(first, sent)) for sent in mixed(8)]
                answers += [group.create_task(answer(second, sent)) for sent in renamed]
            assert [task.result() for task in answers] == 2 * alone
            assert first.num_ready == second.num_ready == 2 and first.card.num_sequences == 8
        assert reports


@in_event_loop
async def test_running_requests_survive_the_kill_of_an_engine(
    setup_of: MakeSetup, tmp_path: Path
) -> None:
    requests, gate = mixed(7, GATE), tmp_path / "open"
    gate.touch()
    async with cluster_of(setup_of(), 2) as cluster, front_of(cluster) as fleet:
        alone = [await answer(fleet, sent) for sent in requests]
        gate.unlink()
        begun = asyncio.Event()
        answering = [asyncio.create_task(answer(fleet, sent, begun.set)) for sent in requests]
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        os.kill(min(pids(tmp_path)), signal.SIGKILL)
        await until(lambda: fleet.num_lost == 1)
        gate.touch()
        assert await asyncio.gather(*answering) == alone
        await until(lambda: fleet.num_ready == 2)


@in_event_loop
async def test_a_request_that_ends_engines_is_refused_as_replicas_tell_how_they_ended(
    setup_of: MakeSetup,
) -> None:
    async with cluster_of(setup_of(), 1) as cluster, front_of(cluster) as fleet:
        with pytest.raises((EngineError, RequestError), match="while it ran only this request"):
            await answer(fleet, request("bad", CRASH))
        assert fleet.num_lost == 3
        assert await answer(fleet, request("good"))


@in_event_loop
async def test_an_engine_that_leaves_finishes_its_requests_and_gets_no_more(
    setup_of: MakeSetup, tmp_path: Path
) -> None:
    gate = tmp_path / "open"
    async with cluster_of(setup_of(), 1) as cluster, front_of(cluster) as fleet:
        begun = asyncio.Event()
        running = asyncio.create_task(answer(fleet, request("a", GATE), begun.set))
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        (leaving,) = pids(tmp_path)
        cluster.remove(cluster.replicas[0])
        await asyncio.to_thread(cluster.add)
        await until(lambda: fleet.num_ready == 1)
        assert await answer(fleet, request("b"))
        assert leaving in pids(tmp_path)
        gate.touch()
        await running
        await until(lambda: leaving not in pids(tmp_path))
        assert fleet.num_lost == 0 and fleet.num_ready == 1


@in_event_loop
async def test_requests_go_on_elsewhere_when_a_replica_is_gone(
    setup_of: MakeSetup, tmp_path: Path
) -> None:
    sent, gate = request("a", GATE, choices=3), tmp_path / "open"
    gate.touch()
    async with cluster_of(setup_of(), 1) as cluster, front_of(cluster) as fleet:
        alone = await answer(fleet, sent)
        gate.unlink()
        begun = asyncio.Event()
        running = asyncio.create_task(answer(fleet, sent, begun.set))
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        (pid,) = pids(tmp_path)
        gone = cluster.replicas.pop()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: fleet.num_lost == 1)
        await asyncio.to_thread(cluster.add)
        gate.touch()
        assert await running == alone
        assert gone not in cluster.replicas


@in_event_loop
async def test_an_engine_that_is_added_serves_with_all_adapters(setup_of: MakeSetup) -> None:
    async with cluster_of(setup_of(), 1) as cluster, front_of(cluster) as fleet:
        assert fleet.num_ready == 1
        await asyncio.to_thread(cluster.add)
        await until(lambda: fleet.num_ready == 2)
        async with asyncio.TaskGroup() as group:
            for sent in mixed(6):
                group.create_task(answer(fleet, sent))


@in_event_loop
async def test_an_engine_with_another_context_is_not_used(setup_of: MakeSetup) -> None:
    async with cluster_of(setup_of(), 1) as cluster, front_of(cluster) as fleet:
        unlike = await asyncio.to_thread(cluster.add, setup_of(context=64))
        await asyncio.to_thread(cluster.add)
        await until(lambda: fleet.num_ready == 2)
        assert cluster.state(unlike).port is not None
        assert fleet.card.num_sequences == 8


@in_event_loop
async def test_engines_with_other_settings_or_a_failure_are_an_error_of_the_start(
    setup_of: MakeSetup,
) -> None:
    async with cluster_of(setup_of(), 0) as cluster:
        cluster.wanted = 1
        await asyncio.to_thread(cluster.add, None, "others")
        with pytest.raises(StartError, match="run with other settings"):
            async with front_of(cluster):
                raise AssertionError
        cluster.replicas.clear()
        await asyncio.to_thread(cluster.add, setup_of(refusal="the file is damaged"))
        with pytest.raises(StartError, match="the file is damaged"):
            async with front_of(cluster):
                raise AssertionError


@pytest.mark.parametrize("lacks", [True, False])
@in_event_loop
async def test_a_start_that_finds_no_engine_fails_with_what_ray_says(
    setup_of: MakeSetup, monkeypatch: pytest.MonkeyPatch, lacks: bool
) -> None:
    seconds = "SCHEDULE_SECONDS" if lacks else "START_SECONDS"
    monkeypatch.setattr(placement, seconds, 0.0)
    cluster = ScriptedCluster(setup_of())
    cluster.lacks = lacks
    fleet = EngineFleet(RayEngines(cluster, SETTINGS, PATIENCE))
    try:
        with pytest.raises(StartError, match=r"only 0 of 1 engines serve .* wait to be scheduled"):
            await asyncio.to_thread(fleet.open)
    finally:
        await fleet.aclose()
        cluster.end()


@in_event_loop
async def test_closing_an_endpoint_cancels_its_requests_and_leaves_the_engines(
    setup_of: MakeSetup, tmp_path: Path
) -> None:
    async with cluster_of(setup_of(), 1) as cluster:
        async with front_of(cluster) as fleet, fleet.run(request("a", GATE)) as events:
            await anext(events)
            await fleet.aclose()
            with pytest.raises(EngineError):
                async for _ in events:
                    pass
        (tmp_path / "open").touch()
        reports: list[StepReport] = []
        async with front_of(cluster, reports.append) as fleet:
            assert await answer(fleet, request("b"))
            await until(lambda: bool(reports) and reports[-1].running == 0)

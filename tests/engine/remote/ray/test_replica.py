"""A replica keeps an engine, and knows where it is and how earlier ones have ended."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.engine.remote.child import ChildSetup
from friendli_endpoint.engine.remote.ray import replica as replica_module
from friendli_endpoint.engine.remote.ray.replica import CHOICES, EngineReplica
from friendli_endpoint.engine.remote.suspects import Death
from tests.engine.remote.looping import in_event_loop
from tests.support.scripted import PATIENCE

MakeSetup = Callable[..., ChildSetup]


@asynccontextmanager
async def replica_of(setup: ChildSetup) -> AsyncIterator[EngineReplica]:
    replica = EngineReplica(replace(setup, host="127.0.0.1"), "settings", PATIENCE)
    try:
        async with asyncio.timeout(PATIENCE):
            await replica.check_health()
        yield replica
    finally:
        await replica.leave()


def newest_pid(folder: Path) -> int:
    newest = max(folder.glob("pid-*"), key=lambda path: path.stat().st_mtime_ns)
    return int(newest.name.removeprefix("pid-"))


async def life(replica: EngineReplica, number: int) -> None:
    """Waits until an engine is open for the given time."""
    async with asyncio.timeout(PATIENCE):
        while (state := await replica.state()).life != number or state.port is None:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("number", "cause"), [(signal.SIGKILL, "outside"), (signal.SIGSEGV, "crash")]
)
@in_event_loop
async def test_the_state_tells_where_an_engine_is_and_how_others_ended(
    setup_of: MakeSetup, tmp_path: Path, number: signal.Signals, cause: Any
) -> None:
    async with replica_of(setup_of()) as replica:
        first = await replica.state()
        assert (first.life, first.settings, first.deaths) == (1, "settings", ())
        assert first.port and len(first.secret) == 32
        os.kill(newest_pid(tmp_path), number)
        await life(replica, 2)
        second = await replica.state()
        assert second.deaths == ((1, Death(cause, f"signal {number.name}")),)
        assert second.replica == first.replica and second.secret != first.secret
        await replica.check_health()


@in_event_loop
async def test_an_engine_that_cannot_be_opened_is_told_first_and_then_unhealthy(
    setup_of: MakeSetup,
) -> None:
    async with replica_of(setup_of(refusal="the file is damaged")) as replica:
        state = await replica.state()
        assert (state.failure, state.port) == ("the file is damaged", None)
        with pytest.raises(RuntimeError, match="the file is damaged"):
            await replica.check_health()


@in_event_loop
async def test_a_replica_whose_engine_stays_closed_is_unhealthy(
    setup_of: MakeSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_module, "MAX_CLOSED_SECONDS", -1.0)
    async with replica_of(setup_of()) as replica:
        await replica.check_health()
        os.kill(newest_pid(tmp_path), signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while not (await replica.state()).deaths:
                await asyncio.sleep(0.001)
        with pytest.raises(RuntimeError, match="cannot be opened again"):
            await replica.check_health()
        await life(replica, 2)
        await replica.check_health()


@in_event_loop
async def test_an_idle_engine_has_no_choices(setup_of: MakeSetup) -> None:
    async with replica_of(setup_of()) as replica:
        assert await replica.record_autoscaling_stats() == {CHOICES: 0.0}

"""Requests that an endpoint has accepted are answered as if no engine had ever been lost."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.contract.live import Live, stop, until
from tests.scale.engines import (
    SECONDS,
    engine_pids,
    is_running,
    next_engine,
    serving,
    until_replaced,
)
from tests.scale.kills import kills
from tests.scale.streams import Clients

pytestmark = pytest.mark.model

NUMBERS = range(12)
SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)


@pytest.mark.parametrize("number", SIGNALS)
def test_answers_are_the_same_when_one_of_two_engines_is_killed(number: signal.Signals) -> None:
    found = kills(rounds=3, count=12, number=number, seed=number)
    assert found == {"rounds": 3, "requests": 36, "kills": 3, "equal": 36, "different": 0}


def test_health_succeeds_and_the_metrics_tell_when_one_of_two_engines_is_lost() -> None:
    with serving(2) as endpoint:
        live = Live(endpoint.address)

        def engines() -> dict[str, float]:
            lines = live.request("GET", "/metrics").text.splitlines()
            found = [line.split() for line in lines if line.startswith("friendli_engines")]
            return {name: float(value) for name, value in found}

        assert engines() == {"friendli_engines": 2, "friendli_engines_lost_total": 0}
        victim = engine_pids(endpoint)[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: engines()["friendli_engines_lost_total"] == 1, SECONDS, "it is counted")
        assert live.request("GET", "/health").status_code == 200
        assert live.complete(max_tokens=2)
        until(lambda: engines()["friendli_engines"] == 2, SECONDS, "it serves again")


def test_the_answers_of_the_only_engine_come_after_it_was_started_again() -> None:
    with serving(1) as endpoint:
        alone = asyncio.run(Clients(endpoint.address).one_by_one(NUMBERS))
        (victim,) = engine_pids(endpoint)
        killed: list[int] = []

        def kill() -> None:
            if not killed:
                killed.append(victim)
                os.kill(victim, signal.SIGKILL)

        assert asyncio.run(Clients(endpoint.address, kill).all(NUMBERS)) == alone
        assert victim not in engine_pids(endpoint)


def test_a_stopped_engine_is_replaced_while_clients_get_comments() -> None:
    with serving(1, "--step-seconds", "5") as endpoint:
        alone = asyncio.run(Clients(endpoint.address).one_by_one(NUMBERS))
        (victim,) = engine_pids(endpoint)
        stopped: list[int] = []

        def stop_engine() -> None:
            if not stopped:
                stopped.append(victim)
                os.kill(victim, signal.SIGSTOP)

        clients = Clients(endpoint.address, stop_engine)
        assert asyncio.run(clients.all(NUMBERS)) == alone
        assert clients.comments > 0
        until_replaced(endpoint, victim, 1)


def test_health_fails_while_no_engine_serves_but_the_endpoint_stays_alive() -> None:
    with serving(1) as endpoint:
        live = Live(endpoint.address)
        (victim,) = engine_pids(endpoint)
        os.kill(victim, signal.SIGKILL)
        health = until(
            lambda: (r := live.request("GET", "/health")).status_code == 503 and r,
            SECONDS,
            "/health fails",
        )
        assert health.json()["error"]["code"] == "engine_starting"
        assert health.headers["retry-after"] == "1"
        assert live.request("GET", "/live").status_code == 200
        until(
            lambda: live.request("GET", "/health").status_code == 200, SECONDS, "/health succeeds"
        )
        assert live.complete(max_tokens=2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_group_drains_and_ends_every_process(number: signal.Signals) -> None:
    with serving(2, "--drain-seconds", "60") as endpoint:
        alone = asyncio.run(Clients(endpoint.address).one_by_one(NUMBERS[:1]))
        engines = engine_pids(endpoint)
        sent: list[int] = []

        def end() -> None:
            if not sent:
                sent.append(number)
                for pid in (*engines, endpoint.process.pid):
                    os.kill(pid, number)

        clients = Clients(endpoint.address, end)
        assert asyncio.run(clients.all(NUMBERS[:1])) == alone[:4:2]
        assert endpoint.process.wait(SECONDS) == 0
        assert not any(map(is_running, engines))


def test_engines_end_and_leave_no_files_when_the_endpoint_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with serving(3) as endpoint:
        stopped, killed, running = engine_pids(endpoint)
        os.kill(stopped, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        starting = next_engine(endpoint, (stopped, killed, running))
        stop(endpoint.process, signal.SIGKILL)
        engines = (stopped, running, starting)
        until(lambda: not any(map(is_running, engines)), SECONDS, "the engines end")
        assert not list(tmp_path.glob("friendli-endpoint-*"))

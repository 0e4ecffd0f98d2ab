"""Requests are answered as if no engine in a Ray cluster had ever been lost."""

import signal

import pytest

from tests.contract.live import Live, until
from tests.contract.served import Served
from tests.scale.engines import SECONDS, descendants
from tests.scale.kills import killed

pytestmark = pytest.mark.model


def replica_pids(endpoint: Served) -> list[int]:
    """Returns the ids of the processes of the replicas, which keep the engines."""
    return descendants(endpoint, b"ray::ServeReplica")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_answers_are_the_same_when_an_engine_is_killed(two: Served, number: signal.Signals) -> None:
    found = killed(two, rounds=2, count=12, number=number, seed=number)
    assert found == {"rounds": 2, "requests": 24, "kills": 2, "equal": 24, "different": 0}


def test_answers_are_the_same_when_a_replica_is_killed(two: Served) -> None:
    found = killed(two, rounds=2, count=12, victims=replica_pids)
    assert found == {"rounds": 2, "requests": 24, "kills": 2, "equal": 24, "different": 0}


def test_the_metrics_count_engines_and_those_that_were_lost(two: Served) -> None:
    live = Live(two.address)

    def value(name: str) -> float:
        lines = live.request("GET", "/metrics").text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    until(lambda: value("friendli_engines") == 2, SECONDS, "both serve again")
    before = value("friendli_engines_lost_total")
    assert killed(two, rounds=1, count=6)["different"] == 0
    until(lambda: value("friendli_engines_lost_total") == before + 1, SECONDS, "it is counted")
    until(lambda: value("friendli_engines") == 2, SECONDS, "it serves again")

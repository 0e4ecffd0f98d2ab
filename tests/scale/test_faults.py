"""Faults of engines other than signals, and engines that end again and again."""

import asyncio
import os
import resource
import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contract.live import Live, until
from tests.contract.served import Served
from tests.load.traffic import Comparable
from tests.scale.disk import small_disk
from tests.scale.engines import (
    SECONDS,
    address_space,
    engine_pids,
    load_adapter,
    next_engine,
    serving,
)
from tests.scale.streams import Clients

pytestmark = pytest.mark.model

NUMBERS = range(12)
ROOM = 256 << 20
"""Bytes of address space of a thread that compiles a constraint: a stack of 64 MiB, and a heap for
which glibc reserves 128 MiB."""
MIB = 1 << 20


def alone(endpoint: Served) -> list[Comparable]:
    return asyncio.run(Clients(endpoint.address).one_by_one(NUMBERS))


def during(endpoint: Served, fault: Callable[[], object]) -> list[Comparable]:
    """Returns the answers to requests while a fault happens."""
    begun: list[Future[object]] = []
    with ThreadPoolExecutor(1) as pool:

        def begin() -> None:
            if not begun:
                begun.append(pool.submit(fault))

        answers = asyncio.run(Clients(endpoint.address, begin).all(NUMBERS))
        begun[0].result()
    return answers


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def crash(pid: int) -> None:
    os.kill(pid, signal.SIGSEGV)


def limit_memory(pid: int) -> None:
    """Gives a process that starts less address space than an engine needs."""
    resource.prlimit(pid, resource.RLIMIT_AS, (64 * MIB, 64 * MIB))


@pytest.mark.parametrize("fault", [kill, crash, limit_memory])
def test_answers_come_after_engines_that_end_during_their_start(
    fault: Callable[[int], None],
) -> None:
    with serving(1) as endpoint:
        expected = alone(endpoint)
        pids = engine_pids(endpoint)

        def end_starts() -> None:
            kill(pids[0])
            for _ in range(2):
                pids.append(next_engine(endpoint, pids))
                fault(pids[-1])

        assert during(endpoint, end_starts) == expected
        assert next_engine(endpoint, pids)


def test_answers_are_the_same_when_the_only_engine_is_killed_twice_in_a_row() -> None:
    with serving(1) as endpoint:
        expected = alone(endpoint)
        killed: list[int] = []

        def kill_once_more() -> None:
            for pid in engine_pids(endpoint):
                if pid not in killed and len(killed) < 2:
                    killed.append(pid)
                    kill(pid)

        assert asyncio.run(Clients(endpoint.address, kill_once_more).all(NUMBERS)) == expected
        assert len(killed) == 2


def test_engines_whose_address_space_is_nearly_used_up_cost_no_answer() -> None:
    with serving(2) as endpoint:
        expected = alone(endpoint)
        for pid in engine_pids(endpoint):
            limit = address_space(pid) + ROOM
            resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
        for _ in range(2):
            assert asyncio.run(Clients(endpoint.address).all(NUMBERS)) == expected
        assert Live(endpoint.address).complete(max_tokens=2)


def test_a_full_disk_delays_the_start_of_an_engine_and_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path) as disk:
        monkeypatch.setenv("TMPDIR", str(disk.folder))
        with serving(1) as endpoint:
            expected = alone(endpoint)
            live = Live(endpoint.address)
            (victim,) = engine_pids(endpoint)
            assert load_adapter(endpoint, "lora-1.gguf").status_code == 201

            def kill_on_a_full_disk() -> None:
                disk.fill()
                refused = load_adapter(endpoint, "lora-0.gguf", "three")
                assert (refused.status_code, refused.json()["error"]["param"]) == (400, "file")
                kill(victim)
                until(lambda: live.request("GET", "/health").status_code == 503, SECONDS, "a 503")
                disk.free()

            assert during(endpoint, kill_on_a_full_disk) == expected
            assert load_adapter(endpoint, "lora-0.gguf", "three").status_code == 201

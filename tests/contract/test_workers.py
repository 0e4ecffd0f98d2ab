"""Worker processes of a real endpoint: a costly request, killed processes, and their end."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.live import Live, until
from tests.contract.served import Placement, Served, served
from tests.workers.processes import children_of, fork_servers

PROPERTIES = {
    f"a_name_so_long_that_the_schema_may_take_the_memory_of_its_grammar_{number}": {
        "type": "string"
    }
    for number in range(2000)
}
COSTLY = {
    "type": "json_schema",
    "json_schema": {"schema": {"type": "object", "properties": PROPERTIES}},
}
"""A valid constraint that takes much longer to compile than `SECONDS`."""

SECONDS = "0.05"


@pytest.fixture(scope="module")
def endpoint(small_model: Path, placement: Placement) -> Iterator[Served]:
    flags = ("--model", str(small_model), "--threads", "1", "--context", "1024")
    with served(
        *flags, "--workers", "2", "--prepare-seconds", SECONDS, *placement.flags
    ) as running:
        yield running


@pytest.fixture
def live(endpoint: Served) -> Live:
    return Live(endpoint.address)


def processes_of(endpoint: Served) -> tuple[int, set[int]]:
    """Returns the process ids of the fork server and of its workers."""
    (server,) = fork_servers(endpoint.process.pid)
    return server, children_of(server)


def answers(live: Live) -> bool:
    return bool(live.complete(max_tokens=1)["choices"])


def test_a_request_that_is_too_costly_to_prepare_is_rejected_by_its_field(live: Live) -> None:
    for body in ({"response_format": COSTLY}, {"response_format": COSTLY, "max_tokens": 1}):
        response = live.post({"model": "m", "messages": [{"role": "user", "content": "a"}], **body})
        assert response.status_code == 400
        error = response.json()["error"]
        assert (error["param"], error["code"]) == ("response_format", "too_complex")
    assert answers(live)


def test_killed_workers_cost_no_request(endpoint: Served, live: Live) -> None:
    server, workers = processes_of(endpoint)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    assert answers(live)
    for process in (server, *children_of(server)):
        os.kill(process, signal.SIGKILL)
    assert all(answers(live) for _ in range(3))
    assert processes_of(endpoint)[0] != server


def test_workers_end_with_an_endpoint_that_is_killed(
    small_model: Path, placement: Placement
) -> None:
    flags = ("--model", str(small_model), "--threads", "1", "--context", "256", "--workers", "3")
    with served(*flags, *placement.flags) as endpoint:
        server, workers = processes_of(endpoint)
        assert len(workers) == 3
        endpoint.process.kill()
        endpoint.process.wait()
        until(lambda: not any(map(runs, (server, *workers))), 20, "all processes end")


def runs(pid: int) -> bool:
    """Returns whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

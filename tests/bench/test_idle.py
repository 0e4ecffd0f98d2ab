"""Waiting for servers to become idle."""

import os
import subprocess
import sys
import time

import pytest

from friendli_endpoint.bench import idle
from friendli_endpoint.bench.idle import wait_until_idle
from friendli_endpoint.bench.processes import process_cpu_seconds


def test_a_busy_process_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "POLL_SECONDS", 0.5)
    busy = "import time\nwhile time.process_time() < 1: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        wait_until_idle([process.pid])
        used = process_cpu_seconds(process.pid)
        process.communicate(b"\n", timeout=30)
    if sys.platform == "linux":
        assert used >= 0.9


def test_an_unknown_process_is_waited_for_by_the_cpu_use_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used = iter([0.0, 0.5, 0.5, 1.0, 1.0, 1.001])
    monkeypatch.setattr(idle, "machine_cpu_seconds", lambda: next(used))
    wait_until_idle([os.getpid(), None])
    assert next(used, None) is None


def test_the_cpu_time_of_the_machine_includes_that_of_a_process() -> None:
    machine, own = idle.machine_cpu_seconds(), process_cpu_seconds(os.getpid())
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    used = process_cpu_seconds(os.getpid()) - own
    assert 0.2 < used <= idle.machine_cpu_seconds() - machine + 0.05 or sys.platform != "linux"


def test_a_process_that_does_not_exist_is_idle() -> None:
    assert process_cpu_seconds(os.getpid()) > 0 or sys.platform != "linux"
    wait_until_idle([2**22 + 1])
    wait_until_idle([])

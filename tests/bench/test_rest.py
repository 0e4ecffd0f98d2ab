"""Waiting for servers that have something left to do."""

import os
import subprocess
import sys
import time

import pytest

from friendli_endpoint.bench import rest
from friendli_endpoint.bench.rest import processor_seconds, wait_until_idle


def test_a_process_that_works_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "LOOK_SECONDS", 0.5)
    busy = "import time\nwhile time.process_time() < 1: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        wait_until_idle([process.pid])
        used = processor_seconds(process.pid)
        process.communicate(b"\n", timeout=30)
    if sys.platform == "linux":
        assert used >= 0.9


def test_a_server_that_was_started_elsewhere_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter([0.0, 0.5, 0.5, 1.0, 1.0, 1.001])
    monkeypatch.setattr(rest, "machine_seconds", lambda: next(used))
    wait_until_idle([os.getpid(), None])
    assert next(used, None) is None


def test_the_machine_is_never_less_busy_than_a_process() -> None:
    machine, own = rest.machine_seconds(), processor_seconds(os.getpid())
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    used = processor_seconds(os.getpid()) - own
    assert 0.2 < used <= rest.machine_seconds() - machine + 0.05 or sys.platform != "linux"


def test_what_is_gone_is_idle() -> None:
    assert processor_seconds(os.getpid()) > 0 or sys.platform != "linux"
    wait_until_idle([2**22 + 1])
    wait_until_idle([])

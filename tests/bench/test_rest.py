"""Waiting for servers that have something left to do."""

import os
import subprocess
import sys

from friendli_endpoint.bench.rest import processor_seconds, wait_until_idle


def test_a_process_that_works_is_waited_for() -> None:
    busy = "import time\nwhile time.process_time() < 1: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        wait_until_idle([process.pid])
        used = processor_seconds(process.pid)
        process.communicate(b"\n", timeout=30)
    if sys.platform == "linux":
        assert used >= 0.9


def test_what_is_gone_is_idle() -> None:
    assert processor_seconds(os.getpid()) > 0 or sys.platform != "linux"
    wait_until_idle([2**22 + 1])
    wait_until_idle([])

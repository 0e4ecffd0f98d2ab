"""Processes of the benchmark: the canned server, and the measurements."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.client.environments import ROOT, Client

METER = Path(__file__).parent / "programs" / "meter.py"
MEASURE_SECONDS = 60


@contextmanager
def canned_server() -> Iterator[str]:
    """Starts the canned server, yields its URL, and stops it."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.client.server"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("Serving on "):
                raise RuntimeError("the canned server did not start")
            yield line.split()[-1]
        finally:
            process.kill()


def measure(client: Client, mode: str, url: str, *rest: str) -> dict[str, float]:
    """Runs one process of a client and returns the values that it reports.

    `wall` is added: seconds from the start of the process to its first report.

    Raises:
        RuntimeError: The process failed, or took too long.
    """
    command = [str(client.python), str(METER), client.program, mode, url, *rest]
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=_environment()
    ) as process:
        watchdog = threading.Timer(MEASURE_SECONDS, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            wall = time.perf_counter() - start
            rest_of_output = process.stdout.read()
        finally:
            watchdog.cancel()
            if sys.exc_info()[0] is not None:
                process.kill()
    if process.returncode:
        raise RuntimeError(f"{client.name}: {mode} failed with status {process.returncode}")
    lines = (line.split() for line in [first, *rest_of_output.splitlines()])
    return {"wall": wall, **{name: float(value) for name, value in lines}}


def _environment() -> dict[str, str]:
    """Returns the environment without variables that configure clients, proxies or Python."""
    excluded = ("PROXY", "PYTHON", "FRIENDLI_", "OPENAI_")
    return {k: v for k, v in os.environ.items() if not any(name in k.upper() for name in excluded)}

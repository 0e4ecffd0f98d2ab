"""Runs processes: the canned server, and one measurement after the other."""

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
    """Starts the canned server, gives its address, and stops it by process id."""
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
    """Runs one process of a client, and gives what it reports.

    Beside that, `wall`: seconds from the process's start to its first report.

    Raises:
        RuntimeError: The process failed, or took too long.
    """
    command = [str(client.python), str(METER), client.program, mode, url, *rest]
    begun = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=_environment()
    ) as process:
        late = threading.Timer(MEASURE_SECONDS, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            wall = time.perf_counter() - begun
            others = process.stdout.read()
        finally:
            late.cancel()
            if sys.exc_info()[0] is not None:
                process.kill()
    if process.returncode:
        raise RuntimeError(f"{client.name}: {mode} failed with status {process.returncode}")
    lines = (line.split() for line in [first, *others.splitlines()])
    return {"wall": wall, **{name: float(value) for name, value in lines}}


def _environment() -> dict[str, str]:
    """This process's environment, without what would lead clients or Python elsewhere."""
    strange = ("PROXY", "PYTHON", "FRIENDLI_", "OPENAI_")
    return {k: v for k, v in os.environ.items() if not any(part in k.upper() for part in strange)}

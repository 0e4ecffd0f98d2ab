"""The servers under measurement: started, asked for their memory, stopped by process id."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from friendli_endpoint.engine.llama.model import find_embedded_model

START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running server and where its chat completions are."""

    name: str
    process: "subprocess.Popen[str]"
    url: str

    def peak_memory(self) -> int:
        """Peak resident memory in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024


@contextmanager
def ours(sequences: int, context: int) -> Iterator[Server]:
    """Our endpoint."""
    command = ["-m", "friendli_endpoint.cli", "serve", "--port", "0", "--log-level", "warning"]
    capacity = ["--max-sequences", str(sequences), "--context", str(context)]
    with _started([*command, *capacity]) as (process, address):
        yield Server("friendli-endpoint", process, f"{address}/dedicated/v1/chat/completions")


@contextmanager
def peer(sequences: int, context: int) -> Iterator[Server]:
    """llama.cpp's own server."""
    command = ["-m", "benchmarks.endpoint.peer", str(find_embedded_model())]
    with _started([*command, str(sequences), str(context)]) as (process, address):
        _wait(f"{address}/health")
        yield Server("llama.cpp server", process, f"{address}/v1/chat/completions")


@contextmanager
def _started(arguments: list[str]) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("Serving "):
                    yield process, line.partition(" on ")[2].split()[0]
                    break
        finally:
            process.kill()


def _wait(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    sys.exit(f"{url} did not answer within {START_SECONDS} s")

"""Starts servers to measure, each in a process of its own, and stops them by their process."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from friendli_endpoint.bench.wire import DIALECTS, BenchError

__all__ = ["OURS", "PEERS", "Capacity", "Server", "ours", "peer"]

OURS = "friendli-endpoint"

PEERS: Mapping[str, Sequence[str]] = {
    "llama.cpp": (),
    "llama.cpp-no-flash": ("--no-flash-attention",),
}
"""Servers of llama.cpp to measure beside ours, and how each is started."""

READY_SECONDS = 120.0
SERVING = re.compile(r"^Serving .*?on (http://\S+)")


@dataclass(frozen=True, slots=True)
class Capacity:
    """What every server gets.

    Attributes:
        sequences: That run at the same time.
        context: Tokens of each.
        threads: That compute.
    """

    sequences: int
    context: int
    threads: int

    @property
    def flags(self) -> list[str]:
        """For a command line."""
        return [
            *("--max-sequences", str(self.sequences)),
            *("--context", str(self.context)),
            *("--threads", str(self.threads)),
        ]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was started, and answers.

    Attributes:
        name: What tables call it.
        url: Where its chat completions are.
        dialect: What it speaks.
        process: Its id.
    """

    name: str
    url: str
    dialect: str
    process: int

    def peak_memory(self) -> int | None:
        """Most resident bytes so far, or None where the system does not tell."""
        status = Path(f"/proc/{self.process}/status")
        if not status.exists():
            return None
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None


@contextmanager
def ours(model: Path, capacity: Capacity, flags: Sequence[str]) -> Iterator[Server]:
    """Our endpoint, with more flags of `serve`.

    Raises:
        BenchError: It does not start.
    """
    command = ["friendli_endpoint.cli", "serve", "--port", "0", "--log-level", "warning"]
    arguments = [*command, "--model", str(model), *capacity.flags, *flags]
    with _started(OURS, arguments) as (process, address):
        yield Server(OURS, address + DIALECTS["friendli"].path, "friendli", process)


@contextmanager
def peer(name: str, model: Path, capacity: Capacity) -> Iterator[Server]:
    """A server of llama.cpp.

    Args:
        name: A key of `PEERS`.
        model: A GGUF file.
        capacity: What it gets.

    Raises:
        BenchError: It does not start.
    """
    arguments = ["friendli_endpoint.bench.peer", str(model), *capacity.flags, *PEERS[name]]
    with _started(name, arguments) as (process, address):
        _wait(name, f"{address}/health")
        yield Server(name, address + DIALECTS["llama.cpp"].path, "llama.cpp", process)


@contextmanager
def _started(name: str, arguments: Sequence[str]) -> Iterator[tuple[int, str]]:
    """A module that runs, from the moment it has said where; its process id and its address."""
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if found := SERVING.match(line):
                    yield process.pid, found[1]
                    return
            log.seek(0)
            said = log.read().strip().splitlines()
            raise BenchError(
                f"{name} does not start: {said[-1] if said else 'it does not say why'}"
            )
        finally:
            process.kill()


def _wait(name: str, url: str) -> None:
    """Waits until a server has loaded its model."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx2.get(url, timeout=5).is_success:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.1)
    raise BenchError(f"{name} was not ready within {READY_SECONDS:g} s")

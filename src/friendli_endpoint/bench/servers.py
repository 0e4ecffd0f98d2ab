"""Starts servers to measure, each in its own process, and kills them afterwards."""

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

__all__ = ["OURS", "PEERS", "Server", "ServerCapacity", "ours", "peer", "started"]

OURS = "friendli-endpoint"

PEERS: Mapping[str, Sequence[str]] = {
    "llama.cpp": (),
    "llama.cpp-no-flash": ("--no-flash-attention",),
}
"""llama.cpp servers to compare with, and further flags of `bench.peer` for each."""

READY_SECONDS = 120.0
SERVING = re.compile(r"^Serving .*?on (http://\S+)")


@dataclass(frozen=True, slots=True)
class ServerCapacity:
    """Capacity that each server is started with.

    Attributes:
        sequences: Number of sequences that run at the same time.
        context: Context length of each sequence, in tokens.
        threads: Number of compute threads.
    """

    sequences: int
    context: int
    threads: int

    @property
    def flags(self) -> list[str]:
        """Command-line flags of this capacity."""
        return [
            *("--max-sequences", str(self.sequences)),
            *("--context", str(self.context)),
            *("--threads", str(self.threads)),
        ]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was started and answers requests.

    Attributes:
        name: Its name in tables.
        url: URL of its chat completions.
        dialect: A key of `wire.DIALECTS`.
        process_id: Its process id.
    """

    name: str
    url: str
    dialect: str
    process_id: int

    def peak_memory(self) -> int | None:
        """Returns the peak resident memory in bytes, or None if `/proc` does not report it."""
        status = Path(f"/proc/{self.process_id}/status")
        if not status.exists():
            return None
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None


@contextmanager
def ours(
    model: Path, capacity: ServerCapacity, flags: Sequence[str], name: str = OURS
) -> Iterator[Server]:
    """Starts this endpoint.

    Args:
        model: A GGUF file.
        capacity: Capacity of the server.
        flags: Further flags of `serve`.
        name: Its name in tables.

    Raises:
        BenchError: The server does not start.
    """
    command = ["friendli_endpoint.cli", "serve", "--port", "0", "--log-level", "warning"]
    arguments = [*command, "--model", str(model), *capacity.flags, *flags]
    with started(name, arguments) as (process_id, address):
        yield Server(name, address + DIALECTS["friendli"].path, "friendli", process_id)


@contextmanager
def peer(name: str, model: Path, capacity: ServerCapacity) -> Iterator[Server]:
    """Starts a llama.cpp server.

    Args:
        name: A key of `PEERS`.
        model: A GGUF file.
        capacity: Capacity of the server.

    Raises:
        BenchError: The server does not start, or is not ready within `READY_SECONDS`.
    """
    arguments = ["friendli_endpoint.bench.peer", str(model), *capacity.flags, *PEERS[name]]
    with started(name, arguments) as (process_id, address):
        _wait(name, f"{address}/health")
        yield Server(name, address + DIALECTS["llama.cpp"].path, "llama.cpp", process_id)


@contextmanager
def started(name: str, arguments: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Runs a module that serves; yields its process id and its address, and kills it at the end.

    Args:
        name: Its name in errors.
        arguments: The module and its arguments. When it serves, it prints `Serving … on ADDRESS`.

    Raises:
        BenchError: It ends before it serves.
    """
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
            lines = log.read().strip().splitlines()
            raise BenchError(
                f"{name} does not start: {lines[-1] if lines else 'it printed no error'}"
            )
        finally:
            process.kill()


def _wait(name: str, url: str) -> None:
    """Polls a health URL until the server has loaded its model."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx2.get(url, timeout=5).is_success:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.1)
    raise BenchError(f"{name} was not ready within {READY_SECONDS:g} s")

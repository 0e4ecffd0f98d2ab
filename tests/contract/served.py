"""A real endpoint in a process of its own, and what the system says of that process."""

import os
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.contract.live import environment, stop

__all__ = ["FLAGS", "Served", "served"]

SERVE = ("-m", "friendli_endpoint.cli")
FLAGS = "SERVED_FLAGS"
"""Environment variable with flags of every endpoint that is started here, as in a shell."""

PATIENCE = 120
"""Seconds until an endpoint that does not start is killed."""


@dataclass(frozen=True)
class Served:
    """An endpoint that runs.

    Attributes:
        address: Where it listens.
        process: Itself.
    """

    address: str
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def resident(self) -> int:
        """Resident memory in bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """How many files and sockets are open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@contextmanager
def served(
    *flags: str, program: tuple[str, ...] = SERVE, port: int = 0, **variables: str
) -> Iterator[Served]:
    """Starts an endpoint, and stops it by its process at the end, if it still runs.

    Args:
        flags: More flags of `serve`.
        program: What Python is to run instead of the command line.
        port: Where to listen; 0 takes a free one.
        variables: Of its environment.

    Raises:
        AssertionError: It did not start; with what it said.
    """
    command = [sys.executable, *program, "serve", "--port", str(port), "--log-level", "error"]
    command += shlex.split(os.environ.get(FLAGS, ""))
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, *flags], stdout=subprocess.PIPE, stderr=log, env=environment(**variables)
        )
        guard = threading.Timer(PATIENCE, process.kill)
        guard.start()
        assert process.stdout is not None
        try:
            banner = next((line for line in process.stdout if line.startswith(b"Serving ")), None)
            guard.cancel()
            if banner is None:
                process.wait()
                log.seek(0)
                raise AssertionError(f"the endpoint did not start:\n{log.read().decode()}")
            yield Served(banner.decode().partition(" on ")[2].split()[0], process)
        finally:
            guard.cancel()
            stop(process)
            process.stdout.close()

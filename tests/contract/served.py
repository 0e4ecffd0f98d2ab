"""A real endpoint in its own process, with that process's memory and open files."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.contract.live import environment, stop

__all__ = ["IN_PROCESS", "PLACEMENTS", "Placement", "Served", "served"]

SERVE = ("-m", "friendli_endpoint.cli")
TIMEOUT_SECONDS = 120
"""Seconds after which an endpoint that has not started is killed."""


@dataclass(frozen=True)
class Placement:
    """Placement of the engines of an endpoint.

    Attributes:
        flags: Flags of `serve`.
        num_engines: Number of engines.
    """

    flags: tuple[str, ...]
    num_engines: int


IN_PROCESS = "in-process"
PLACEMENTS = {
    IN_PROCESS: Placement(("--engines", "0"), 1),
    "engines": Placement(("--engines", "2"), 2),
    "ray": Placement(("--ray", "local", "--engines", "2"), 2),
}
"""Choices of pytest's option `--placement`."""


@dataclass(frozen=True)
class Served:
    """A running endpoint.

    Attributes:
        address: Its URL.
        process: Its process.
    """

    address: str
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def resident(self) -> int:
        """Returns the resident memory in bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """Returns the number of open files and sockets."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@contextmanager
def served(
    *flags: str, program: tuple[str, ...] = SERVE, port: int = 0, **variables: str
) -> Iterator[Served]:
    """Starts an endpoint, and stops it at the end if it still runs.

    Args:
        flags: Further flags of `serve`.
        program: Python arguments that replace the command line's module.
        port: Port to listen on; 0 selects a free one.
        variables: Further environment variables.

    Raises:
        AssertionError: The endpoint did not start; the message contains its log.
    """
    command = [sys.executable, *program, "serve", "--port", str(port), "--log-level", "error"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, *flags], stdout=subprocess.PIPE, stderr=log, env=environment(**variables)
        )
        guard = threading.Timer(TIMEOUT_SECONDS, process.kill)
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

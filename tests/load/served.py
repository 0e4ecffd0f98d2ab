"""A real endpoint in a process of its own, and what the system says of that process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.contract.live import environment, stop

__all__ = ["Served", "served"]

SERVE = ("-m", "friendli_endpoint.cli")


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
    """
    command = [sys.executable, *program, "serve", "--port", str(port), "--log-level", "error"]
    process = subprocess.Popen(
        [*command, *flags], stdout=subprocess.PIPE, env=environment(**variables)
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith(b"Serving "):
                break
        else:
            raise AssertionError("the endpoint did not start")
        yield Served(line.decode().partition(" on ")[2].split()[0], process)
    finally:
        stop(process)
        process.stdout.close()

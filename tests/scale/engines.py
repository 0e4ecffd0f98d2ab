"""Endpoints whose engines run in child processes, and these processes."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.live import Live, until
from tests.contract.served import Served, served
from tests.support.lora import write_loras
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs

__all__ = [
    "SECONDS",
    "descendants",
    "engine_pids",
    "is_running",
    "num_engines",
    "serving",
    "until_replaced",
]

SECONDS = 60.0
"""Maximum time until an engine is open again."""

PLACES = 4
"""Number of choices that an engine computes at the same time."""


@contextmanager
def serving(num_engines: int, *flags: str, model: Path | None = None) -> Iterator[Served]:
    """Serves a model with two adapters in a folder, one of which is loaded as `one`.

    Args:
        num_engines: Number of engines.
        flags: Further flags of `serve`.
        model: A GGUF file; by default one with two small layers.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = model or write_byte_pairs(Path(folder) / "model.gguf", LLAMA)
        lora, *_ = write_loras(Path(folder), path, range(2))
        fixed = ["--context", "4096", "--threads", "1", "--max-sequences", str(PLACES)]
        adapters = ["--adapter", f"one={lora}", "--adapter-dir", folder]
        engines = ["--engines", str(num_engines), "--model", str(path)]
        with served(*engines, *fixed, *adapters, *flags) as endpoint:
            yield endpoint


def engine_pids(endpoint: Served) -> list[int]:
    """Returns the ids of the processes of an endpoint's engines, in a cluster that it runs, too."""
    return descendants(endpoint, b"engine.remote.child")


def descendants(endpoint: Served, command: bytes = b"") -> list[int]:
    """Returns the ids of the processes that an endpoint has started, and those have started.

    Args:
        endpoint: The endpoint.
        command: Part of the command line of those that are returned.
    """
    parents, commands = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):  # it has ended meanwhile
            pid = int(folder.name)
            commands[pid] = (folder / "cmdline").read_bytes()
            parents[pid] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found = {endpoint.process.pid}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    found.remove(endpoint.process.pid)
    return sorted(pid for pid in found if command in commands[pid])


def until_replaced(
    endpoint: Served,
    pid: int,
    num_engines: int,
    pids: Callable[[Served], list[int]] = engine_pids,
) -> None:
    """Waits until a process has ended and there are as many as before, of engines by default."""
    until(
        lambda: pid not in (found := pids(endpoint)) and len(found) == num_engines,
        SECONDS,
        "an engine is replaced",
    )


def num_engines(endpoint: Served) -> float:
    """Returns the number of engines that serve, as the metrics of an endpoint say."""
    lines = Live(endpoint.address).request("GET", "/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("friendli_engines "))


def is_running(pid: int) -> bool:
    """Whether there is a process that has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

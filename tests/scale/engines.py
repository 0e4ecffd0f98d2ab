"""Endpoints whose engines run in child processes, and these processes."""

import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from friendli_endpoint.bench.processes import process_tree
from tests.contract.live import Live, until
from tests.contract.served import Served, served
from tests.support.lora import write_loras
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs
from tests.workers.processes import command_of

__all__ = [
    "ADAPTERS",
    "PLACES",
    "SECONDS",
    "address_space",
    "descendants",
    "engine_pids",
    "is_running",
    "load_adapter",
    "metric",
    "next_engine",
    "serving",
    "until_replaced",
]

SECONDS = 60.0
"""Maximum time until an engine is open again."""

ADAPTERS = "/dedicated/v1/adapters"

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
    _, *found = process_tree(endpoint.process.pid)
    return sorted(pid for pid in found if command in command_of(pid))


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


def next_engine(endpoint: Served, earlier: Collection[int]) -> int:
    """Waits for an engine's process that is not an earlier one; it may not be open yet."""

    def found() -> int | None:
        return next((pid for pid in engine_pids(endpoint) if pid not in earlier), None)

    return int(until(found, SECONDS, "an engine is started again"))


def load_adapter(endpoint: Served, file: str, route: str = "two") -> httpx2.Response:
    """Asks for an adapter of the endpoint's folder; returns the answer, whatever its status."""
    body = {"route": route, "file": file}
    return Live(endpoint.address).request("POST", ADAPTERS, json=body)


def metric(endpoint: Served, name: str) -> float:
    """Returns the value of a metric without labels, named without its prefix."""
    lines = Live(endpoint.address).request("GET", "/metrics").text.splitlines()
    (value,) = [line.split()[1] for line in lines if line.startswith(f"friendli_{name} ")]
    return float(value)


def address_space(pid: int) -> int:
    """Returns the size of the address space of a process, in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def is_running(pid: int) -> bool:
    """Whether there is a process that has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

"""Endpoints whose engines run in child processes, and these processes."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.live import until
from tests.contract.served import Served, served
from tests.support.lora import write_loras
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs

__all__ = ["SECONDS", "engine_pids", "is_running", "serving", "until_replaced"]

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
    """Returns the ids of the processes of an endpoint's engines."""
    children = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except (OSError, IndexError):  # it has ended meanwhile
            continue
        if parent == endpoint.process.pid and b"engine.remote.child" in command:
            children.append(int(folder.name))
    return sorted(children)


def until_replaced(endpoint: Served, pid: int, num_engines: int) -> None:
    """Waits until a process has ended and there are as many engines as before."""
    until(
        lambda: pid not in (pids := engine_pids(endpoint)) and len(pids) == num_engines,
        SECONDS,
        "an engine is replaced",
    )


def is_running(pid: int) -> bool:
    """Whether there is a process that has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

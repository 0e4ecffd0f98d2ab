"""Processes of a server, as `/proc` shows them: their CPU time and memory."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Memory", "memory", "process_cpu_seconds", "process_tree"]


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of some processes, in bytes.

    Attributes:
        proportional: Sum of their proportional sets: a page that processes share counts once, with
            an equal part for each of them.
        resident: Sum of their resident sets: a shared page counts once for each process.
    """

    proportional: int
    resident: int


def process_tree(process: int) -> list[int]:
    """Returns the ids of a process and of all its descendants that run; itself comes first."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(folder.name)):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [process]
    for parent in found:
        found += children.get(parent, ())
    return found


def process_cpu_seconds(process: int) -> float:
    """Returns the CPU seconds that a process has used; 0 if `/proc` has no such process."""
    fields = _stat(process)
    if not fields:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(processes: Iterable[int]) -> Memory:
    """Returns the memory of processes together; those that `/proc` lacks count as empty."""
    proportional = resident = 0
    for process in processes:
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:  # it has ended, or this is another system
            continue
        sizes = dict(re.findall(r"^(Pss|Rss):\s+(\d+) kB$", text, re.MULTILINE))
        proportional += int(sizes["Pss"]) * 1024
        resident += int(sizes["Rss"]) * 1024
    return Memory(proportional, resident)


def _stat(process: int) -> list[str]:
    """Returns the fields of `/proc/PID/stat` after the name; none if it has no such process."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []

"""Processes that the process of a test has started."""

from pathlib import Path

__all__ = ["children_of"]


def children_of(pid: int) -> set[int]:
    """Returns the process ids of the children of a process that have not ended."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.add(int(folder.name))
    return found

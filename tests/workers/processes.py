"""Processes that the process of a test has started."""

import os
from pathlib import Path

__all__ = ["children_of", "command_of", "fork_servers"]


def fork_servers(parent: int | None = None) -> set[int]:
    """Returns the process ids of the fork servers that a process, by default this, has started."""
    parent = os.getpid() if parent is None else parent
    return {pid for pid in children_of(parent) if b"fork_server" in command_of(pid)}


def command_of(pid: int) -> bytes:
    """Returns the command line of a process, with NUL between arguments; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


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

"""Waits until no server works: none is measured beside what another has left to do."""

import os
import time
from collections.abc import Collection, Iterable
from pathlib import Path

__all__ = ["wait_until_idle"]

LOOK_SECONDS, MOST_LOOKS = 0.5, 120
MOST_LOOKS_AT_MACHINE = 20
IDLE_SHARE = 0.1
"""Of one processor: what servers use that have nothing to do."""


def wait_until_idle(processes: Iterable[int | None]) -> None:
    """Waits until processes do next to nothing for a moment, or for a minute at most.

    Args:
        processes: Their ids; those that the system does not tell of count as idle. Where one is
            None, for a server that was started elsewhere, all of the machine is looked at, and for
            ten seconds at most.
    """
    known = tuple(processes)
    looks = MOST_LOOKS_AT_MACHINE if None in known else MOST_LOOKS
    for _ in range(looks if known else 0):
        before = _used(known)
        time.sleep(LOOK_SECONDS)
        if _used(known) - before < IDLE_SHARE * LOOK_SECONDS:
            return


def _used(processes: Collection[int | None]) -> float:
    """Processor seconds of processes, or of the machine where one is not known."""
    if None in processes:
        return machine_seconds()
    return sum(processor_seconds(process) for process in processes if process is not None)


def machine_seconds() -> float:
    """What all processes have used of the processors; 0 where the system does not tell."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system = stat.read_text().split()[1:4]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def processor_seconds(process: int) -> float:
    """What a process has used of the processors; 0 where the system does not tell."""
    stat = Path(f"/proc/{process}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

"""Waits until no server works: none is measured beside what another has left to do."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

__all__ = ["wait_until_idle"]

LOOK_SECONDS, MOST_LOOKS = 0.5, 120
IDLE_SHARE = 0.1
"""Of one processor: what servers use that have nothing to do."""


def wait_until_idle(processes: Iterable[int]) -> None:
    """Waits until processes do next to nothing for a moment, or for a minute at most.

    Args:
        processes: Their ids; those that the system does not tell of count as idle.
    """
    processes = tuple(processes)
    for _ in range(MOST_LOOKS if processes else 0):
        before = sum(map(processor_seconds, processes))
        time.sleep(LOOK_SECONDS)
        if sum(map(processor_seconds, processes)) - before < IDLE_SHARE * LOOK_SECONDS:
            return


def processor_seconds(process: int) -> float:
    """What a process has used of the processors; 0 where the system does not tell."""
    stat = Path(f"/proc/{process}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

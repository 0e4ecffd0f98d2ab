"""Waits until all servers are idle, so that none is measured while another still computes."""

import os
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from friendli_endpoint.bench.processes import process_cpu_seconds, process_tree

__all__ = ["wait_until_idle"]

POLL_SECONDS, MAX_POLLS = 0.5, 120
MAX_MACHINE_POLLS = 20
IDLE_SHARE = 0.1
"""Share of one core below which the servers together count as idle."""


def wait_until_idle(processes: Iterable[int | None]) -> None:
    """Waits until processes and their descendants are idle for `POLL_SECONDS`, at most one minute.

    Args:
        processes: Process ids. A process that does not exist counts as idle. If an id is None, for
            a server that was started elsewhere, the CPU use of the whole machine is polled, for at
            most ten seconds.
    """
    process_ids = tuple(processes)
    polls = MAX_MACHINE_POLLS if None in process_ids else MAX_POLLS
    for _ in range(polls if process_ids else 0):
        before = _cpu_seconds(process_ids)
        time.sleep(POLL_SECONDS)
        if _cpu_seconds(process_ids) - before < IDLE_SHARE * POLL_SECONDS:
            return


def _cpu_seconds(processes: Collection[int | None]) -> float:
    """Returns the CPU seconds of processes with their descendants, or of the whole machine.

    Args:
        processes: Process ids; if one is None, that of the whole machine is returned.
    """
    if None in processes:
        return machine_cpu_seconds()
    return sum(
        process_cpu_seconds(process)
        for server in processes
        if server is not None
        for process in process_tree(server)
    )


def machine_cpu_seconds() -> float:
    """Returns the CPU seconds that all processes have used; 0 if there is no `/proc/stat`."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system = stat.read_text().split()[1:4]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")

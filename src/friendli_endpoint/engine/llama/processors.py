"""Processors that this process may use, and how many of them other programs leave free."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, process_time, sleep

__all__ = [
    "CpuCounters",
    "FreeProcessors",
    "available_threads",
    "cpu_quota",
    "measure_free",
    "read_counters",
]

SAMPLE_SECONDS = 0.2
"""Minimum time between two samples; the kernel counts in steps of 10 ms."""

STALE_SECONDS = 2.0
"""A mean over a longer time may hide programs that have just started."""

_STAT = Path("/proc/stat")
_MEMBERSHIP = Path("/proc/self/cgroup")
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class CpuCounters:
    """Counters of the kernel at one moment.

    Attributes:
        busy_seconds: Time that all processes have used on the processors of this process, including
            time that a hypervisor has taken, in seconds.
        num_processors: Number of all processors of the machine.
        num_runnable: Number of threads on the machine that compute or wait for a processor at this
            moment, with the one that reads the counters.
    """

    busy_seconds: float
    num_processors: int
    num_runnable: int


def available_threads() -> int:
    """Returns the number of processors that this process may use: of its affinity and quota."""
    quota = cpu_quota()
    number = len(_affinity())
    return number if quota is None else max(1, min(number, int(quota)))


def cpu_quota() -> float | None:
    """Returns the processors that the cgroup's quota allows at the same time; None for no quota."""
    return min(_quotas(), default=None)


def read_counters() -> CpuCounters | None:
    """Returns the kernel's counters, or None if there are none for this process's processors."""
    try:
        lines = [line.split() for line in _STAT.read_text().splitlines()]
        names = {f"cpu{number}" for number in _affinity()}
        rows = {line[0]: line[1:9] for line in lines if line and line[0][:3] == "cpu"}
        ticks = sum(
            sum(map(int, row)) - int(row[3]) - int(row[4])  # without idle and iowait
            for name, row in rows.items()
            if name in names
        )
        runnable = next(int(line[1]) for line in lines if line and line[0] == "procs_running")
        if not ticks or not names <= rows.keys():
            return None
        return CpuCounters(ticks / os.sysconf("SC_CLK_TCK"), len(rows) - 1, runnable)
    except (OSError, ValueError, IndexError, StopIteration):
        return None


class FreeProcessors:
    """Measures how many processors other programs leave free; for one thread at a time.

    Args:
        read: Reads the kernel's counters.
        clock: Time in seconds.
        used: Time on processors that this process has used, in seconds.
    """

    def __init__(
        self,
        read: Callable[[], CpuCounters | None] = read_counters,
        clock: Callable[[], float] = monotonic,
        used: Callable[[], float] = process_time,
    ) -> None:
        self._read, self._clock, self._used = read, clock, used
        self._num = len(_affinity())
        self._last = read()
        self._free = None if self._last is None else self._free_now(self._last)
        self._last_time, self._last_used = clock(), used()

    def sample(self) -> float | None:
        """Returns the number of free processors, those that this process uses included.

        It is the mean since the last sample. At the first time, it is what is free at the moment,
        where as many runnable threads as there are processors are ignored, which may be those of a
        client and of the request that begins; after a long time without a sample, the lower of
        both.

        Returns:
            From 0 to the number of processors of this process; None if it is not known.
        """
        now = self._clock()
        seconds = now - self._last_time
        if seconds < SAMPLE_SECONDS or self._last is None:
            return self._free
        counters, used = self._read(), self._used()
        if counters is None:
            return self._free
        others = counters.busy_seconds - self._last.busy_seconds - (used - self._last_used)
        free = self._num - max(0.0, others / seconds)
        if seconds > STALE_SECONDS:
            free = min(free, self._free_now(counters))
        self._last, self._last_time, self._last_used = counters, now, used
        self._free = max(0.0, free)
        return self._free

    def _free_now(self, counters: CpuCounters) -> float:
        others = max(0, counters.num_runnable - 2 - counters.num_processors)
        return float(max(0, min(self._num, counters.num_processors - others)))


def measure_free() -> float | None:
    """Measures for a moment how many processors are free; see `FreeProcessors.sample`."""
    free = FreeProcessors()
    sleep(SAMPLE_SECONDS)
    return free.sample()


def _affinity() -> set[int]:
    affinity = getattr(os, "sched_getaffinity", None)
    return set(affinity(0)) if affinity else set(range(os.cpu_count() or 1))


def _quotas() -> Iterator[float]:
    """Yields the quota of this process's cgroup and of each one that contains it."""
    for folder, names in _cgroup_folders():
        try:
            text = " ".join((folder / name).read_text() for name in names)
            quota, period = (int(number) for number in text.split())
        except (OSError, ValueError):
            continue  # the file is absent, or the quota is "max"
        if quota > 0 and period > 0:
            yield quota / period


def _cgroup_folders() -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yields the folders that may contain a quota, and the files with the quota and its period."""
    try:
        lines = _MEMBERSHIP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        root = _CGROUP
        names: tuple[str, ...] = ("cpu.max",)
        if controllers:
            if "cpu" not in controllers.split(","):
                continue
            root, names = _CGROUP / "cpu", ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        folder = root / path.lstrip("/")
        while folder != root and root in folder.parents:
            yield folder, names
            folder = folder.parent
        yield root, names

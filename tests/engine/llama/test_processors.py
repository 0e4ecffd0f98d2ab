"""Processors of this process, and how many of them others leave free, on a scripted machine."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.llama import processors
from friendli_endpoint.engine.llama.processors import (
    SAMPLE_SECONDS,
    STALE_SECONDS,
    CpuCounters,
    FreeProcessors,
    available_threads,
    cpu_quota,
    measure_free,
    read_counters,
)

TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of four processors, of which this process may use two; no files yet."""
    monkeypatch.setattr(processors, "_STAT", tmp_path / "stat")
    monkeypatch.setattr(processors, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(processors, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {1, 2}, raising=False)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


STAT = """cpu  4 0 0 0 0 0 0 0 0 0
cpu0 900 900 900 900 900 900 900 900 0 0
cpu1 100 20 3 5000 600 4 5 6 70 80
cpu2 200 0 0 7000 0 0 0 0 0 0
cpu3 900 900 900 900 900 900 900 900 0 0
intr 1 2 3
procs_running 3
procs_blocked 1
"""


def test_only_the_processors_of_this_process_are_counted(machine: Path) -> None:
    write(machine / "stat", STAT)
    busy = 100 + 20 + 3 + 4 + 5 + 6 + 200
    assert read_counters() == CpuCounters(busy / TICKS, 4, 3)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        STAT.replace("procs_running", "running"),
        STAT.replace("cpu2", "cpu7"),
        STAT.replace("cpu1 100", "cpu1 many"),
        "cpu 0 0\ncpu1 0 0 0 0 0 0 0 0\ncpu2 0 0 0 0 0 0 0 0\nprocs_running 1\n",
    ],
    ids=["absent", "empty", "no-running", "no-processor", "no-number", "not-counted"],
)
def test_counters_that_say_nothing_are_none(machine: Path, text: str | None) -> None:
    if text is not None:
        write(machine / "stat", text)
    assert read_counters() is None
    assert measure_free() is None


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/\n", {}, None),
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000", "a/b/cpu.max": "200000 100000"}, 0.5),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "cpu.max": "300000 100000"}, 3.0),
        ("0::/not/here\n", {"cpu.max": "100000 100000"}, 1.0),
        ("0::/../outside\n", {"cpu.max": "100000 100000"}, 1.0),
        ("4:memory:/\n", {"cpu/cpu.cfs_quota_us": "1", "cpu/cpu.cfs_period_us": "1"}, None),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        (
            "3:cpuacct,cpu:/job\n0::/\n",
            {"cpu/job/cpu.cfs_quota_us": "250000", "cpu/job/cpu.cfs_period_us": "100000"},
            2.5,
        ),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
    ],
)
def test_the_quota_of_the_narrowest_cgroup_counts(
    machine: Path, membership: str, files: dict[str, str], quota: float | None
) -> None:
    write(machine / "membership", membership)
    for name, text in files.items():
        write(machine / "cgroup" / name, text + "\n")
    assert cpu_quota() == quota


@pytest.mark.parametrize(
    ("quota", "threads"), [("max", 2), ("800000", 2), ("190000", 1), ("20000", 1)]
)
def test_threads_are_limited_by_affinity_and_quota(machine: Path, quota: str, threads: int) -> None:
    write(machine / "membership", "0::/\n")
    write(machine / "cgroup" / "cpu.max", f"{quota} 100000\n")
    assert available_threads() == threads


def test_without_a_cgroup_there_is_no_quota(machine: Path) -> None:
    assert cpu_quota() is None
    assert available_threads() == 2


@dataclass
class ScriptedMachine:
    """A machine of eight processors in a scripted state, of which the process has two."""

    now: float = 100.0
    busy: float = 50.0
    used: float = 7.0
    runnable: int = 1
    fails: bool = False
    reads: list[float] = field(default_factory=list)

    def read(self) -> CpuCounters | None:
        self.reads.append(self.now)
        return None if self.fails else CpuCounters(self.busy, 8, self.runnable)

    def wait(self, seconds: float, others: float, own: float = 0.0) -> None:
        """Lets time pass while other programs and this process use that many processors."""
        self.now += seconds
        self.used += own * seconds
        self.busy += (own + others) * seconds

    def open(self) -> FreeProcessors:
        return FreeProcessors(self.read, lambda: self.now, lambda: self.used)


@given(
    st.floats(SAMPLE_SECONDS, STALE_SECONDS),
    st.floats(0, 3),
    st.floats(0, 2),
    st.integers(1, 50),
)
def test_what_others_use_is_not_free(
    seconds: float, others: float, own: float, runnable: int
) -> None:
    machine = ScriptedMachine()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processors, "_affinity", lambda: {1, 2})
        free = machine.open()
    machine.runnable = runnable
    machine.wait(seconds * 0.999, others, own)
    machine.wait(seconds * 0.001, others, own)
    if machine.now - 100.0 >= SAMPLE_SECONDS:  # which rounding may miss
        assert free.sample() == pytest.approx(max(0.0, 2 - others), abs=1e-6)


def two_of_eight(machine: ScriptedMachine, monkeypatch: pytest.MonkeyPatch) -> FreeProcessors:
    monkeypatch.setattr(processors, "_affinity", lambda: {1, 2})
    return machine.open()


def test_samples_are_not_closer_than_the_counters_are_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = ScriptedMachine()
    free = two_of_eight(machine, monkeypatch)
    assert free.sample() == 2.0
    machine.wait(0.25, 1.0)
    assert free.sample() == pytest.approx(1.0)
    machine.wait(0.1, 2.0)
    assert free.sample() == pytest.approx(1.0)
    assert machine.reads == [100.0, 100.25]
    machine.wait(0.15, 2.0)
    assert free.sample() == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("runnable", "expected"), [(1, 2.0), (8, 2.0), (16, 2.0), (17, 1), (40, 0)]
)
def test_after_a_long_time_programs_that_run_now_count(
    monkeypatch: pytest.MonkeyPatch, runnable: int, expected: float
) -> None:
    machine = ScriptedMachine()
    free = two_of_eight(machine, monkeypatch)
    machine.wait(3600, 0.0)
    machine.runnable = runnable
    assert free.sample() == pytest.approx(expected)


@pytest.mark.parametrize(("runnable", "expected"), [(1, 2.0), (16, 2.0), (17, 1.0), (40, 0.0)])
def test_the_first_sample_is_what_is_free_at_the_moment(
    monkeypatch: pytest.MonkeyPatch, runnable: int, expected: float
) -> None:
    free = two_of_eight(ScriptedMachine(runnable=runnable), monkeypatch)
    assert free.sample() == expected


def test_counters_that_fail_later_keep_the_last_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = ScriptedMachine()
    free = two_of_eight(machine, monkeypatch)
    machine.wait(0.5, 0.5)
    assert free.sample() == pytest.approx(1.5)
    machine.fails = True
    machine.wait(0.5, 2)
    assert free.sample() == pytest.approx(1.5)


def test_a_machine_without_counters_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = ScriptedMachine(fails=True)
    free = two_of_eight(machine, monkeypatch)
    machine.wait(0.5, 0.5)
    assert free.sample() is None
    assert machine.reads == [100.0]

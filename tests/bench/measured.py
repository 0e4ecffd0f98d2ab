"""Runs with chosen values."""

from friendli_endpoint.bench.rounds import Measured, Sample
from friendli_endpoint.bench.session import Report
from friendli_endpoint.bench.workload import Outcome


def samples(*values: float, failed: int = 0) -> list[Sample]:
    """Rounds of these values; first tokens take a tenth of a second, gaps 1 to 100 ms."""
    gaps = [number / 1000 for number in range(1, 101)]
    return [Sample(Outcome(value, [0.1], gaps, failed), 1.0, 0.04) for value in values]


def report(*measured: Measured, **memory: int) -> Report:
    """A run of three rounds of these workloads."""
    return Report("2026-01-01", "Some CPU, 2 cores", {}, 3, measured, memory)

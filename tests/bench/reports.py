"""Samples and reports with given values."""

from friendli_endpoint.bench.rounds import Measurement, Sample
from friendli_endpoint.bench.session import Report
from friendli_endpoint.bench.workload import WorkloadResult


def samples(*values: float, failed: int = 0) -> list[Sample]:
    """Returns a sample per value; the time to first token is 0.1 s, gaps are 1 to 100 ms."""
    gaps = [number / 1000 for number in range(1, 101)]
    return [Sample(WorkloadResult(value, [0.1], gaps, failed), 1.0, 0.04) for value in values]


def report(*measured: Measurement, **memory: int) -> Report:
    """Returns the report of a run of three rounds."""
    return Report("2026-01-01", "Some CPU, 2 cores", {}, 3, measured, memory)

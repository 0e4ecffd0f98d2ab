"""Tables of a benchmark run, as rows of text, independent of the terminal and of file formats."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from textwrap import fill

from friendli_endpoint.bench.rounds import Measurement, Sample
from friendli_endpoint.bench.session import Report
from friendli_endpoint.bench.stats import Spread, percentile, ratios

__all__ = ["Table", "columns", "markdown", "records", "tables"]

MIN_CELL = 12
"""Minimum width of a cell in a paragraph, in characters, however narrow the terminal is."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows; every row has one cell per column."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(report: Report) -> list[Table]:
    """Returns tables of values and ratios, sweeps, latencies, memory and failures, if not empty."""
    values = [item for item in report.measured if item.workload.sweep is None]
    sweeps = [item for item in report.measured if item.workload.sweep is not None]
    candidates = [
        _values(values),
        _values(sweeps),
        _latencies(values),
        _memory(report),
        _faults(report),
    ]
    return [table for table in candidates if table.rows]


def markdown(table: Table) -> str:
    """Formats the table as Markdown."""
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def columns(table: Table) -> str:
    """Formats the table in aligned columns, without borders."""
    lines = [table.columns, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def records(table: Table, width: int) -> str:
    """Formats each row as a paragraph with a line per cell that is not empty.

    Args:
        table: The table.
        width: Maximum width of a line in characters; longer cells continue on the next line.
    """
    indent = max(map(len, table.columns)) + 2
    return "\n\n".join(
        "\n".join(
            fill(
                cell,
                max(width, indent + MIN_CELL),
                initial_indent=column.ljust(indent),
                subsequent_indent=" " * indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
            for column, cell in zip(table.columns, row, strict=True)
            if cell
        )
        for row in table.rows
    )


def _values(measured: Sequence[Measurement]) -> Table:
    """Returns one row per peer, with the ratio of the first server's values to the peer's."""
    rows = []
    for measurement in measured:
        workload = measurement.workload
        first, *peers = measurement.samples
        arrow = "↑" if workload.higher_is_better else "↓"
        labels = [workload.name, workload.description, f"{workload.unit} {arrow}"]
        first_values = measurement.values(first)
        first_median = _median(first_values)
        for name in peers:
            peer_values = measurement.values(name)
            has_both = first_values and peer_values
            ratio = _spread(ratios(first_values, peer_values)) if has_both else ""
            rows.append([*labels, first_median, name, _median(peer_values), ratio])
        if not peers:
            rows.append([*labels, first_median, "", "", ""])
    first = next(iter(measured[0].samples)) if measured else ""
    return Table(["workload", "", "unit", first, "peer", "peer value", "ratio (min to max)"], rows)


def _latencies(measured: Sequence[Measurement]) -> Table:
    rows = []
    for measurement in measured:
        for name, samples in measurement.samples.items():
            if samples:
                rows.append([measurement.workload.name, name, *_latency(samples)])
    columns = ["workload", "server", "first token p50", "p95"]
    columns += ["between tokens p50", "p95", "p99", "max", "client's share of a core"]
    return Table(columns, rows)


def _latency(samples: Sequence[Sample]) -> list[str]:
    first = [seconds for sample in samples for seconds in sample.outcome.first_tokens]
    between = [seconds for sample in samples for seconds in sample.outcome.gaps]
    share = median(sample.client_share for sample in samples)
    return [
        *(_milliseconds(first, part) for part in (0.5, 0.95)),
        *(_milliseconds(between, part) for part in (0.5, 0.95, 0.99, 1.0)),
        f"{share:.0%}",
    ]


def _memory(report: Report) -> Table:
    rows = [[name, f"{size / 2**20:,.0f} MiB"] for name, size in report.memory.items()]
    return Table(["server", "peak resident memory"], rows)


def _faults(report: Report) -> Table:
    """Lists servers that failed at a workload, and counts invalid answers."""
    rows = [
        [measurement.workload.name, name, fault]
        for measurement in report.measured
        for name, fault in measurement.faults.items()
    ]
    for measurement in report.measured:
        for name, samples in measurement.samples.items():
            failed = sum(sample.outcome.failed for sample in samples)
            if failed:
                rows.append([measurement.workload.name, name, f"{failed} answers were not valid"])
    return Table(["workload", "server", "failed"], rows)


def _median(values: Sequence[float]) -> str:
    return _number(median(values)) if values else "failed"


def _number(value: float) -> str:
    """Formats a value with three significant digits; values of 100 and more as integers."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def _spread(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.min:.2f} to {spread.max:.2f})"


def _milliseconds(values: Sequence[float], share: float) -> str:
    return f"{percentile(values, share) * 1000:,.0f} ms" if values else ""

"""Tables of a run, as rows of text; it knows neither a terminal nor a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from friendli_endpoint.bench.figures import Spread, percentile, ratios
from friendli_endpoint.bench.rounds import Measured, Sample
from friendli_endpoint.bench.session import Report

__all__ = ["Table", "markdown", "tables"]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows; every row is as long as the columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(report: Report) -> list[Table]:
    """Values and ratios, curves, latencies, memory; those of which there is something to say."""
    values = [each for each in report.measured if each.workload.sweep is None]
    sweeps = [each for each in report.measured if each.workload.sweep is not None]
    every = [_values(values), _values(sweeps), _latencies(values), _memory(report), _faults(report)]
    return [table for table in every if table.rows]


def markdown(table: Table) -> str:
    """The table in Markdown."""
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _values(measured: Sequence[Measured]) -> Table:
    """A row for every server beside the first one, whose ratio is to each."""
    rows = []
    for each in measured:
        workload = each.workload
        first, *others = each.samples
        what = [workload.name, workload.about, f"{workload.unit} {'↑' if workload.higher else '↓'}"]
        mine = each.values(first)
        shown = _middle(mine)
        for name in others:
            theirs = each.values(name)
            both = mine and theirs
            ratio = _spread(ratios(mine, theirs)) if both else ""
            rows.append([*what, shown, name, _middle(theirs), ratio])
        if not others:
            rows.append([*what, shown, "", "", ""])
    first = next(iter(measured[0].samples)) if measured else ""
    return Table(["workload", "", "unit", first, "peer", "peer value", "ratio (min to max)"], rows)


def _latencies(measured: Sequence[Measured]) -> Table:
    rows = []
    for each in measured:
        for name, samples in each.samples.items():
            if samples:
                rows.append([each.workload.name, name, *_latency(samples)])
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
    """What was given up, and answers that came but do not count."""
    rows = [
        [each.workload.name, name, fault]
        for each in report.measured
        for name, fault in each.faults.items()
    ]
    for each in report.measured:
        for name, samples in each.samples.items():
            failed = sum(sample.outcome.failed for sample in samples)
            if failed:
                rows.append([each.workload.name, name, f"{failed} answers were not valid"])
    return Table(["workload", "server", "failed"], rows)


def _middle(values: Sequence[float]) -> str:
    return _figure(median(values)) if values else "failed"


def _figure(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def _spread(spread: Spread) -> str:
    return f"{spread.middle:.2f} ({spread.least:.2f} to {spread.most:.2f})"


def _milliseconds(values: Sequence[float], share: float) -> str:
    return f"{percentile(values, share) * 1000:,.0f} ms" if values else ""

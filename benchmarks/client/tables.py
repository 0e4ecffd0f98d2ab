"""Markdown tables of results: medians, and the cost of each peer relative to our client."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from benchmarks.client.environments import OURS, Client

Results: TypeAlias = dict[str, list[dict[str, float]]]
"""One report per round, by client."""


@dataclass(frozen=True)
class Row:
    """Row of a table.

    Attributes:
        label: Text of the first cell.
        name: Name of the value in the reports.
        scale: Factor from the reported unit to the shown one.
        digits: Number of digits after the decimal point.
    """

    label: str
    name: str
    scale: float
    digits: int = 0


def print_table(title: str, rows: Sequence[Row], peers: Sequence[Client], results: Results) -> None:
    """Prints a table with one column per client."""
    print(f"\n| {title} | ours | {' | '.join(peer.name for peer in peers)} |")
    print("|---" * (len(peers) + 2) + "|")
    for row in rows:
        mine = _values(results, OURS, row)
        cells = [row.label, _number(median(mine), row.digits)]
        cells += [_cell(mine, _values(results, peer, row), row.digits) for peer in peers]
        print(f"| {' | '.join(cells)} |", flush=True)


def _values(results: Results, client: Client, row: Row) -> list[float]:
    return [report[row.name] * row.scale for report in results[client.name]]


def _cell(mine: list[float], theirs: list[float], digits: int) -> str:
    ratios = [b / a for a, b in zip(mine, theirs, strict=True)]
    min_ratio, ratio, max_ratio = min(ratios), median(ratios), max(ratios)
    shown = 1 if ratio >= 1.95 else 2
    spread = f"{min_ratio:.{shown}f}–{max_ratio:.{shown}f}"  # noqa: RUF001  (a range of numbers)
    return f"{_number(median(theirs), digits)} = {ratio:.{shown}f} × ({spread})"  # noqa: RUF001


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"

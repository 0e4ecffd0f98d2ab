"""Rounds of results as Markdown tables: medians, and what each peer costs against ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from benchmarks.client.environments import OURS, Client

Results: TypeAlias = dict[str, list[dict[str, float]]]
"""By client: one report for each round."""


@dataclass(frozen=True)
class Row:
    """A line of a table: what it shows of the reports, in which unit.

    Attributes:
        scale: How many of the shown unit make one of the reported.
    """

    label: str
    name: str
    scale: float
    digits: int = 0


def print_table(title: str, rows: Sequence[Row], peers: Sequence[Client], results: Results) -> None:
    """Prints a table with a column for each client."""
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
    least, middle, most = min(ratios), median(ratios), max(ratios)
    shown = 1 if middle >= 1.95 else 2
    spread = f"{least:.{shown}f}–{most:.{shown}f}"  # noqa: RUF001  (a range of numbers)
    return f"{_number(median(theirs), digits)} = {middle:.{shown}f} × ({spread})"  # noqa: RUF001


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"

"""Inputs and tables of `friendli-endpoint bench`."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from friendli_endpoint.bench.report import Table, columns, markdown, records, tables
from friendli_endpoint.bench.servers import PEERS
from friendli_endpoint.bench.session import Report
from friendli_endpoint.bench.wire import BenchError
from friendli_endpoint.bench.workload import Workload
from friendli_endpoint.bench.workloads import WORKLOAD_NAMES, WORKLOADS, workloads_named
from friendli_endpoint.engine.llama.engine import locate

__all__ = [
    "END_TOKENS",
    "format_table",
    "known_peers",
    "known_workloads",
    "print_report",
    "vocabulary_of",
]

END_TOKENS = (0, 2, 4)
"""End-of-generation token ids of the embedded model, according to llama.cpp."""


def known_peers(names: Sequence[str]) -> Sequence[str]:
    """Returns the names of peers; raises `BenchError` for one that does not exist."""
    for name in names:
        if name not in PEERS:
            raise BenchError(f"there is no peer {name!r}; choose from: {', '.join(PEERS)}")
    return names


def known_workloads(names: Sequence[str]) -> list[Workload]:
    """Returns the workloads of these names, or all; raises `BenchError` for an unknown name."""
    found: list[Workload] = []
    for name in names:
        named = workloads_named(name)
        if not named:
            raise BenchError(
                f"there is no workload {name!r}; choose from: {', '.join(WORKLOAD_NAMES)}"
            )
        found += named
    return [*dict.fromkeys(found)] or [*WORKLOADS.values()]


def vocabulary_of(text: str) -> tuple[int, Path]:
    """Returns the size and the file of SIZE=GGUF; raises `BenchError` for another form."""
    size, _, path = text.partition("=")
    if not size.isdecimal() or not path:
        raise BenchError(f"--vocabulary: {text!r} is not of the form SIZE=GGUF")
    return int(size), locate(Path(path))


def print_report(report: Report, *, as_markdown: bool) -> None:
    """Prints the tables of a run to standard output.

    A terminal gets aligned columns, and a table that is wider than it gets a paragraph per row, so
    that no cell is wrapped or cut. Pipes and files get Markdown.
    """
    if as_markdown or not sys.stdout.isatty():
        typer.echo("\n\n".join(map(markdown, tables(report))))
        return
    width = shutil.get_terminal_size().columns
    typer.echo("\n\n".join(format_table(table, width) for table in tables(report)))


def format_table(table: Table, width: int) -> str:
    """Formats a table for a terminal of this width, in characters."""
    aligned = columns(table)
    fits = all(len(line) <= width for line in aligned.splitlines())
    return aligned if fits else records(table, width)

"""Rows of `friendli-endpoint models`."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import typer

from friendli_endpoint.cli.served import served_models
from friendli_endpoint.engine.llama.gguf.model_file import read_model_file
from friendli_endpoint.engine.llama.gguf.reading import GgufError
from friendli_endpoint.engine.llama.model import ModelError, find_embedded_model
from friendli_endpoint.files import format_size

__all__ = ["local_models", "print_rows", "remote_models"]

LOCAL = ("model", "size", "architecture", "quantisation", "context", "file")
SERVED = ("id", "model", "context")


def local_models(folder: Path) -> Iterator[tuple[str, ...]]:
    """Yields a header, and a row for each model file in a folder and for the embedded one."""
    yield LOCAL
    paths = sorted(folder.glob("*.gguf"))
    with contextlib.suppress(ModelError):
        paths.insert(0, find_embedded_model())
    for path in paths:
        try:
            file = read_model_file(path)
        except GgufError:
            yield path.stem, "", "damaged", "", "", str(path)
        else:
            yield (
                path.stem,
                format_size(file.size),
                file.architecture,
                file.quantisation or "",
                str(file.context or ""),
                str(path),
            )


def remote_models(url: str) -> Iterator[tuple[str, ...]]:
    """Yields a header, and a row for each model that an endpoint serves.

    Raises:
        UnreachableError: The endpoint does not list its models.
    """
    yield SERVED
    for card in served_models(url):
        yield card["id"], str(card.get("root", "")), str(card.get("max_model_len", ""))


def print_rows(rows: Iterable[tuple[str, ...]]) -> None:
    """Prints a table with aligned columns and without line wrapping."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())

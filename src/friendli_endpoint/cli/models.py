"""`friendli-endpoint models`: lists the local model files, or the models of an endpoint."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from friendli_endpoint.cache import cache_folder
from friendli_endpoint.cli.errors import exit_with_error
from friendli_endpoint.cli.served import UnreachableError, served_models
from friendli_endpoint.engine.llama.gguf.model_file import read_model_file
from friendli_endpoint.engine.llama.gguf.reading import GgufError
from friendli_endpoint.engine.llama.model import ModelError, find_embedded_model

__all__ = ["models"]

LOCAL = ("model", "size", "architecture", "quantisation", "context", "file")
SERVED = ("id", "model", "context")


def models(
    url: Annotated[
        str | None,
        typer.Option(help="List the models of this endpoint.", show_default="this machine"),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--in", help="Folder of model files.", show_default="the user's cache"),
    ] = None,
) -> None:
    """List the model files on this machine, or the models of an endpoint."""
    try:
        if url is not None:
            _show(SERVED, *_served(url))
        else:
            _show(LOCAL, *_local(folder or cache_folder()))
    except UnreachableError as error:
        exit_with_error(str(error))


def _local(folder: Path) -> Iterator[tuple[str, ...]]:
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
                f"{file.size / 1e6:,.0f} MB",
                file.architecture,
                file.quantisation or "",
                str(file.context or ""),
                str(path),
            )


def _served(url: str) -> Iterator[tuple[str, ...]]:
    for card in served_models(url):
        yield card["id"], str(card.get("root", "")), str(card.get("max_model_len", ""))


def _show(*rows: tuple[str, ...]) -> None:
    """Prints a table with aligned columns and without line wrapping."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())

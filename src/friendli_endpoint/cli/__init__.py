"""The command line of the endpoint."""

from typing import Annotated

import typer

from friendli_endpoint import __version__
from friendli_endpoint.cli.commands import LazyCommands

__all__ = ["main"]

app = typer.Typer(
    cls=LazyCommands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # they may be tokens
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def endpoint(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version)
    ] = False,
) -> None:
    """Serve `POST /dedicated/v1/chat/completions` with your own model."""


def main() -> None:
    """Runs the command line."""
    app()

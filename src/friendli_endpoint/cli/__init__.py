"""The command line of the endpoint; each command has its own module."""

import typer

from friendli_endpoint import __version__
from friendli_endpoint.cli.bench import bench
from friendli_endpoint.cli.chat import chat
from friendli_endpoint.cli.doctor import doctor
from friendli_endpoint.cli.models import models
from friendli_endpoint.cli.pull import pull
from friendli_endpoint.cli.serve import serve

__all__ = ["main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # they may be tokens
)


@app.callback()
def endpoint() -> None:
    """Serve `POST /dedicated/v1/chat/completions` with your own model."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


for command in (serve, chat, pull, models, doctor, bench):
    app.command()(command)


def main() -> None:
    """Runs the command line."""
    app()

"""`friendli-endpoint version`."""

import typer

from friendli_endpoint import __version__

__all__ = ["version"]


def version() -> None:
    """Print the version."""
    typer.echo(__version__)

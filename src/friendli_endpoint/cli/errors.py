"""How a command says that it cannot do what it was asked: one sentence, and an exit code."""

from typing import NoReturn

import typer
from rich.console import Console

__all__ = ["CANNOT_START", "exit_with_error", "print_error"]

CANNOT_START = 2
"""Exit code where a command cannot start; the reason is one sentence on standard error."""

errors = Console(stderr=True)


def exit_with_error(reason: str) -> NoReturn:
    """Says why and ends the command."""
    print_error(reason)
    raise typer.Exit(CANNOT_START)


def print_error(reason: str) -> None:
    """Says why, on standard error."""
    errors.print(
        f"friendli-endpoint: {reason}", style="red", markup=False, highlight=False, soft_wrap=True
    )

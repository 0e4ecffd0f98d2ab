"""Errors of commands: one sentence on standard error, and an exit code."""

from typing import NoReturn

import typer
from rich.console import Console

__all__ = ["CANNOT_START", "exit_with_error", "print_error"]

CANNOT_START = 2
"""Exit code of a command that cannot start."""

errors = Console(stderr=True)


def exit_with_error(reason: str) -> NoReturn:
    """Prints an error and exits the command with `CANNOT_START`."""
    print_error(reason)
    raise typer.Exit(CANNOT_START)


def print_error(reason: str) -> None:
    """Prints an error to standard error."""
    errors.print(
        f"friendli-endpoint: {reason}", style="red", markup=False, highlight=False, soft_wrap=True
    )

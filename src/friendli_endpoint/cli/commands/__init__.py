"""The commands: one module each, which has its flags and imports what does the work when it runs.

A command is imported when it is invoked, so that none pays for the others: `--help` lists them by
the texts here.
"""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["COMMANDS", "LazyCommands", "load"]

COMMANDS = {
    "serve": "Load a model and serve requests until stopped.",
    "chat": "Chat with a model; /help lists the commands.",
    "pull": "Download a model file, to serve with --model.",
    "models": "List the model files on this machine, or the models of an endpoint.",
    "doctor": "Check whether `serve` would work with the same options.",
    "bench": "Benchmark chat completions on several servers in interleaved rounds.",
    "version": "Print the version.",
}
"""Short help of each command, which is a function and a module of that name in this package."""


class LazyCommands(TyperGroup):
    """Group of `COMMANDS` that imports the one that is invoked."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, text in COMMANDS.items():
            self.add_command(TyperCommand(name, help=text))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Returns the name, the command and the remaining arguments of an invocation."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if command is not None and name is not None else None, rest


def load(name: str) -> Any:
    """Imports a command of the table."""
    module = import_module(f"{__name__}.{name}")
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_show_locals=False,  # they may be tokens
    )
    app.command(name)(getattr(module, name))
    return typer.main.get_command(app)

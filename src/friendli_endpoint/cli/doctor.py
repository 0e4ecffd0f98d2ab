"""`friendli-endpoint doctor`: what is wrong with a set-up, and what to do about it."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from friendli_endpoint.cli.checks import look
from friendli_endpoint.cli.flags import read_settings, with_settings

__all__ = ["doctor"]


@with_settings
def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    **flags: Any,
) -> None:
    """Look whether `serve` would work with the same options.

    Prints a line for each thing that is looked at: ok, or problem and what to do. The model and
    adapters are tried, as `serve` does. The exit code is 1 if there is a problem.
    """
    findings = list(look(read_settings(flags)))
    if as_json:
        rows = [{"ok": each.ok, **asdict(each)} for each in findings]
        typer.echo(json.dumps(rows, indent=2))
    else:
        console = Console()
        for each in findings:
            mark = "[green]ok[/]     " if each.ok else "[bold red]problem[/]"
            todo = f"  ->  [bold]{escape(each.do)}[/]" if each.do else ""
            line = f"{mark}  {each.check:8}  {escape(each.says)}{todo}"
            console.print(line, soft_wrap=True, highlight=False, emoji=False)
    raise typer.Exit(not all(each.ok for each in findings))

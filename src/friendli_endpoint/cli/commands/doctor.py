"""`friendli-endpoint doctor`: checks whether `serve` would start, and suggests fixes."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from friendli_endpoint.cli.flags import read_settings, with_settings

__all__ = ["doctor"]


@with_settings
def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    **flags: Any,
) -> None:
    """Check whether `serve` would work with the same options.

    Prints a line for each check: ok, or problem with a suggested fix. The model and adapters are
    loaded, as `serve` does. The exit code is 1 if there is a problem.
    """
    settings = read_settings(flags)
    from rich.console import Console
    from rich.markup import escape

    from friendli_endpoint.cli.checks import run_checks

    results = list(run_checks(settings))
    if as_json:
        rows = [{"ok": result.ok, **asdict(result)} for result in results]
        typer.echo(json.dumps(rows, indent=2))
    else:
        console = Console()
        for result in results:
            mark = "[green]ok[/]     " if result.ok else "[bold red]problem[/]"
            fix = f"  ->  [bold]{escape(result.do)}[/]" if result.do else ""
            line = f"{mark}  {result.check:8}  {escape(result.says)}{fix}"
            console.print(line, soft_wrap=True, highlight=False, emoji=False)
    raise typer.Exit(not all(result.ok for result in results))

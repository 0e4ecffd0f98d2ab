"""`friendli-endpoint bench`: how fast endpoints are, beside each other and beside llama.cpp."""

import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table as Grid

from friendli_endpoint.bench.plots import check_plotting, growth_path, plot_growth, plot_ratios
from friendli_endpoint.bench.record import as_json
from friendli_endpoint.bench.report import Table, markdown, tables
from friendli_endpoint.bench.servers import PEERS, Capacity
from friendli_endpoint.bench.session import Plan, Report, run
from friendli_endpoint.bench.wire import DIALECTS, Address, BenchError
from friendli_endpoint.bench.workload import Workload
from friendli_endpoint.bench.workloads import WORKLOADS, chosen
from friendli_endpoint.cli.errors import exit_with_error
from friendli_endpoint.cli.signals import signal_handler
from friendli_endpoint.engine.llama.capacity import available_threads
from friendli_endpoint.engine.llama.engine import locate
from friendli_endpoint.generation import StartError

__all__ = ["bench"]

END_TOKENS = (0, 2, 4)
"""Of the embedded model, as llama.cpp counts them."""

SINGLE_NAMES = ", ".join(name for name, each in WORKLOADS.items() if each.sweep is None)
SWEEP_NAMES = ", ".join(
    dict.fromkeys(each.sweep.axis for each in WORKLOADS.values() if each.sweep is not None)
)


def bench(
    url: Annotated[
        list[str] | None,
        typer.Option(
            help="Address that runs already, as \\[DIALECT=]URL; may be repeated. Dialects: "
            f"{', '.join(DIALECTS)}.",
            show_default="an endpoint of its own",
        ),
    ] = None,
    ours: Annotated[
        bool | None,
        typer.Option(help="Start our endpoint.", show_default="where no --url is given"),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Start another server beside it; may be repeated: {', '.join(PEERS)}.",
            show_default="none",
        ),
    ] = None,
    workload: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What to measure; may be repeated: {SINGLE_NAMES}; and time of a step: "
            f"{SWEEP_NAMES}.",
            show_default="all",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often.")] = 3,
    model: Annotated[
        Path | None,
        typer.Option(help="GGUF file to serve.", show_default="the embedded SmolLM2-135M"),
    ] = None,
    peer_model: Annotated[
        Path | None, typer.Option(help="GGUF file for the peer.", show_default="the same")
    ] = None,
    serve_flag: Annotated[
        list[str] | None,
        typer.Option(
            help="One more flag for our endpoint, as --serve-flag=--log-level=error; may be "
            "repeated.",
            show_default="none",
        ),
    ] = None,
    vocabulary: Annotated[
        list[str] | None,
        typer.Option(
            help="One more file to take the time of a step on, as SIZE=GGUF; may be repeated.",
            show_default="none",
        ),
    ] = None,
    end_token: Annotated[
        list[int] | None,
        typer.Option(
            help="Token that ends an answer of the model, banned where a length is fixed; may be "
            "repeated.",
            show_default="the embedded model's",
        ),
    ] = None,
    endpoint_id: Annotated[
        str, typer.Option(help="Model that the requests to a --url name.")
    ] = "any",
    max_sequences: Annotated[
        int, typer.Option(min=1, help="Sequences of a server that is started.")
    ] = 16,
    context: Annotated[int, typer.Option(min=256, help="Tokens that each can hold.")] = 4096,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            envvar="FRIENDLI_ENDPOINT_THREADS",
            help="Threads of a server that is started.",
            show_default="one a processor",
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="File for the raw results.", show_default="none")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="PNG file for the ratios; the curves go beside it, as NAME-growth.png.",
            show_default="none",
        ),
    ] = None,
    table: Annotated[bool, typer.Option("--table", help="Print tables in Markdown.")] = False,
) -> None:
    """Measure chat completions in interleaved rounds, beside other servers.

    Progress goes to standard error, tables to standard output. A --url is asked with the token
    FRIENDLI_TOKEN, if there is one. The exit code is 1 where a workload could not be measured.
    """
    end_tokens = tuple(end_token or END_TOKENS)
    token = os.environ.get("FRIENDLI_TOKEN")
    progress = Console(stderr=True)
    start_ours = ours if ours is not None else not url
    try:
        if plot is not None:
            check_plotting(plot)
        for file in (json, plot):
            if file is not None and not file.parent.is_dir():
                raise BenchError(f"there is no folder {file.parent}")
        own_model = locate(model) if start_ours or peer else Path()
        plan = Plan(
            addresses=[
                Address.parse(each, model=endpoint_id, end_tokens=end_tokens, token=token)
                for each in url or ()
            ],
            ours=start_ours,
            peers=_known_peers(peer or ()),
            model=own_model,
            peer_model=locate(peer_model) if peer_model else own_model,
            serve_flags=serve_flag or (),
            vocabularies=[_vocabulary(each) for each in vocabulary or ()],
            workloads=_known_workloads(workload or ()),
            rounds=rounds,
            capacity=Capacity(max_sequences, context, threads or available_threads()),
            end_tokens=end_tokens,
        )
        # A request to end is an interrupt, so that no server that was started stays behind.
        with signal_handler(signal.SIGTERM, signal.default_int_handler):
            report = run(plan, lambda line: progress.print(line, markup=False, highlight=False))
    except (BenchError, StartError) as error:
        exit_with_error(str(error))
    if json is not None:
        json.write_text(as_json(report, shlex.join(["friendli-endpoint", *sys.argv[1:]])))
    if plot is not None:
        plot_ratios(report, plot)
        plot_growth(report, growth_path(plot))
    _show(report, table)
    if any(each.faults for each in report.measured):
        raise typer.Exit(1)


def _known_peers(names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if name not in PEERS:
            raise BenchError(f"there is no peer {name!r}; there are: {', '.join(PEERS)}")
    return names


def _known_workloads(names: Sequence[str]) -> list[Workload]:
    found: list[Workload] = []
    for name in names:
        named = chosen(name)
        if not named:
            raise BenchError(
                f"there is no workload {name!r}; there are: {SINGLE_NAMES}, {SWEEP_NAMES}"
            )
        found += named
    return [*dict.fromkeys(found)] or [*WORKLOADS.values()]


def _vocabulary(text: str) -> tuple[int, Path]:
    size, _, path = text.partition("=")
    if not size.isdecimal() or not path:
        raise BenchError(f"--vocabulary: {text!r} is not of the form SIZE=GGUF")
    return int(size), locate(Path(path))


def _show(report: Report, as_markdown: bool) -> None:
    if as_markdown:
        typer.echo("\n\n".join(markdown(table) for table in tables(report)))
        return
    console = Console()
    for table in tables(report):
        console.print(_grid(table))


def _grid(table: Table) -> Grid:
    grid = Grid(*table.columns, box=box.SIMPLE_HEAD)
    for row in table.rows:
        grid.add_row(*row)
    return grid

"""`friendli-endpoint bench`: compares the speed of endpoints with each other and with llama.cpp."""

import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["bench"]

DIALECT_NAMES = "friendli, llama.cpp, openai"
PEER_NAMES = "llama.cpp, llama.cpp-no-flash"
SINGLE_NAMES = (
    "single, batch16, sampled16, prefix16, choices8, schema8, long, deep8, mixed16, conversation, "
    "copying, copying-short"
)
SWEEP_NAMES = "running, depth, busy"
"""Names for `--help`, which imports nothing to list them; a test compares them with the tables."""


def bench(
    url: Annotated[
        list[str] | None,
        typer.Option(
            help="Address of a running server, as \\[DIALECT=]URL; may be repeated. Dialects: "
            f"{DIALECT_NAMES}.",
            show_default="start this endpoint",
        ),
    ] = None,
    ours: Annotated[
        bool | None,
        typer.Option(help="Start this endpoint.", show_default="yes, without --url"),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Peer to start and compare with; may be repeated: {PEER_NAMES}.",
            show_default="none",
        ),
    ] = None,
    workload: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Workload to measure; may be repeated: {SINGLE_NAMES}; for step times: "
            f"{SWEEP_NAMES}.",
            show_default="all",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds.")] = 3,
    model: Annotated[
        Path | None,
        typer.Option(help="GGUF file to serve.", show_default="the embedded SmolLM2-135M"),
    ] = None,
    peer_model: Annotated[
        Path | None, typer.Option(help="GGUF file for the peer.", show_default="as --model")
    ] = None,
    serve_flag: Annotated[
        list[str] | None,
        typer.Option(
            help="Further flag for this endpoint, as in --serve-flag=--log-level=error; may be "
            "repeated.",
            show_default="none",
        ),
    ] = None,
    vocabulary: Annotated[
        list[str] | None,
        typer.Option(
            help="Further file to measure the step time on, as SIZE=GGUF, where SIZE is its "
            "vocabulary size; may be repeated.",
            show_default="none",
        ),
    ] = None,
    end_token: Annotated[
        list[int] | None,
        typer.Option(
            help="EOS token id of the model, banned in requests of a fixed length; may be "
            "repeated.",
            show_default="the embedded model's",
        ),
    ] = None,
    endpoint_id: Annotated[str, typer.Option(help="Model name in requests to a --url.")] = "any",
    max_sequences: Annotated[
        int, typer.Option(min=1, help="Concurrent sequences of each started server.")
    ] = 16,
    context: Annotated[
        int, typer.Option(min=256, help="Context length of each sequence, in tokens.")
    ] = 4096,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            envvar="FRIENDLI_ENDPOINT_THREADS",
            help="Compute threads of each started server.",
            show_default="one per core",
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="File for the raw results.", show_default="none")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="PNG file for the ratios; step times are plotted to NAME-growth.png.",
            show_default="none",
        ),
    ] = None,
    table: Annotated[
        bool, typer.Option("--table", help="Print tables in Markdown, as in a pipe.")
    ] = False,
) -> None:
    """Benchmark chat completions on several servers in interleaved rounds.

    Progress goes to standard error, tables to standard output. Requests to a --url carry the token
    in FRIENDLI_TOKEN, if it is set. The exit code is 1 if a workload could not be measured.
    """
    from rich.console import Console

    from friendli_endpoint.bench.plots import check_plotting, growth_path, plot_growth, plot_ratios
    from friendli_endpoint.bench.record import as_json
    from friendli_endpoint.bench.servers import ServerCapacity
    from friendli_endpoint.bench.session import BenchPlan, run
    from friendli_endpoint.bench.wire import Address, BenchError
    from friendli_endpoint.cli.bench import (
        END_TOKENS,
        known_peers,
        known_workloads,
        print_report,
        vocabulary_of,
    )
    from friendli_endpoint.cli.errors import exit_with_error
    from friendli_endpoint.cli.signals import signal_handler
    from friendli_endpoint.engine.llama.engine import locate
    from friendli_endpoint.engine.llama.processors import available_threads
    from friendli_endpoint.generation import StartError

    end_tokens = tuple(end_token or END_TOKENS)
    token = os.environ.get("FRIENDLI_TOKEN")
    progress = Console(stderr=True)
    start_ours = ours if ours is not None else not url
    try:
        if plot is not None:
            check_plotting(plot)
        for file in (json, plot):
            if file is not None and not file.parent.is_dir():
                raise BenchError(f"the folder {file.parent} does not exist")
        own_model = locate(model) if start_ours or peer else Path()
        plan = BenchPlan(
            addresses=[
                Address.parse(text, model=endpoint_id, end_tokens=end_tokens, token=token)
                for text in url or ()
            ],
            ours=start_ours,
            peers=known_peers(peer or ()),
            model=own_model,
            peer_model=locate(peer_model) if peer_model else own_model,
            serve_flags=serve_flag or (),
            vocabularies=[vocabulary_of(text) for text in vocabulary or ()],
            workloads=known_workloads(workload or ()),
            rounds=rounds,
            capacity=ServerCapacity(max_sequences, context, threads or available_threads()),
            end_tokens=end_tokens,
        )
        # SIGTERM raises KeyboardInterrupt, so that the started servers are killed on the way out.
        with signal_handler(signal.SIGTERM, signal.default_int_handler):
            report = run(plan, lambda line: progress.print(line, markup=False, highlight=False))
    except (BenchError, StartError) as error:
        exit_with_error(str(error))
    if json is not None:
        json.write_text(as_json(report, shlex.join(["friendli-endpoint", *sys.argv[1:]])))
    if plot is not None:
        plot_ratios(report, plot)
        plot_growth(report, growth_path(plot))
    print_report(report, as_markdown=table)
    if any(measurement.faults for measurement in report.measured):
        raise typer.Exit(1)

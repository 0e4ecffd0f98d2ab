"""Compares engines in other processes with one in the endpoint's: `python -m benchmarks remote`.

First with an engine that has no model and generates 16 streams of 100 tokens, one every 10 ms: what
is measured is everything around an engine, over HTTP, in all processes of the endpoint. Then with
the embedded model.
"""

import argparse
import secrets
import sys

from benchmarks.remote.placements import PLACEMENTS, available
from benchmarks.remote.speed import measure_memory, measure_speed, memory_table, speed_table
from benchmarks.remote.wire import measure_wire, wire_table
from friendli_endpoint.bench.report import markdown
from friendli_endpoint.engine.llama.engine import locate

ROUNDS = 20
MEMORY_ROUNDS = 3


def main(arguments: list[str]) -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks remote")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--part", choices=["wire", "model"], help="measure only this part")
    parser.add_argument(
        "--placement",
        action="append",
        choices=[placement.name for placement in PLACEMENTS],
        help="compare only these; the first one is the reference",
    )
    options = parser.parse_args(arguments)
    placements = [
        placement
        for placement in available()
        if options.placement is None or placement.name in options.placement
    ]
    if options.part != "model":
        print(markdown(wire_table(measure_wire(placements, options.rounds, progress))) + "\n")
    if options.part != "wire":
        model, seed = locate(None), secrets.token_hex(8)
        speeds = measure_speed(placements, model, options.rounds, seed, progress)
        print(markdown(speed_table(speeds)) + "\n")
        starts = min(options.rounds, MEMORY_ROUNDS)
        print(markdown(memory_table(measure_memory(placements, model, starts, seed, progress))))
    return 0


def progress(line: str) -> None:
    """Prints a line on standard error."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

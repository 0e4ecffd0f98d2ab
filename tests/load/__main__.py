"""Runs one reliability experiment or all, and writes the results into docs/reliability.md."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.page import rewritten
from friendli_endpoint.bench.machine import machine
from tests.load.adapter_files import adapter_files
from tests.load.bodies import bodies
from tests.load.faults import FAULTS
from tests.load.inputs import inputs
from tests.load.model_files import model_files
from tests.load.queue_full import queue_full
from tests.load.shapes import shapes
from tests.load.soak import soak, soak_of_kills

EXPERIMENTS = [
    *("soak", "soak-of-kills", "faults", "queue", "inputs"),
    *("bodies", "shapes", "adapter-files", "model-files"),
]
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def main(arguments: list[str]) -> int:
    """Runs the named experiments; the page keeps the earlier results of the others."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("experiments", nargs="*", default=EXPERIMENTS)
    parser.add_argument("--seconds", type=float, default=600, help="duration of the soak")
    parser.add_argument(
        "--concurrent", type=int, default=32, help="concurrent requests of the soak"
    )
    parser.add_argument("--requests", type=int, default=60, help="requests to the full queue")
    parser.add_argument("--cases", type=int, default=2500, help="cases of each kind of bad input")
    parser.add_argument("--attempts", type=int, default=1000, help="cases of bodies and of shapes")
    parser.add_argument("--files", type=int, default=1000, help="mutated files of each kind")
    options = parser.parse_args(arguments)
    experiments: Mapping[str, Callable[[], Mapping[str, Any]]] = {
        "soak": lambda: soak(options.seconds, options.concurrent),
        "soak-of-kills": lambda: soak_of_kills(options.seconds, options.concurrent),
        "faults": lambda: {name: fault() for name, fault in FAULTS.items()},
        "queue": lambda: queue_full(options.requests),
        "inputs": lambda: inputs(options.cases),
        "bodies": lambda: bodies(options.attempts),
        "shapes": lambda: shapes(options.attempts),
        "adapter-files": lambda: adapter_files(options.files),
        "model-files": lambda: model_files(options.files),
    }
    for name in options.experiments:
        table = _table(experiments[name]())
        print(table, flush=True)
        command = " ".join(["python -m tests.load", name, *_options(arguments)])
        content = f"{machine()}; `{command}`.\n\n{table}"
        PAGE.write_text(rewritten(PAGE.read_text(), name, content))
    return 0


def _options(arguments: list[str]) -> list[str]:
    """Returns the arguments from the first option on."""
    options = (n for n, argument in enumerate(arguments) if argument.startswith("-"))
    return arguments[next(options, len(arguments)) :]


def _table(found: Mapping[str, Any]) -> str:
    """Formats results as a Markdown table of two columns, or three for nested results."""
    if all(isinstance(value, dict) for value in found.values()):
        rows = [(name, key, value) for name, part in found.items() for key, value in part.items()]
        lines = ["| fault | | |", "|---|---|---|"]
        return "\n".join([*lines, *(f"| {' | '.join(map(_shown, row))} |" for row in rows)])
    lines = ["| | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {_shown(value)} |" for name, value in found.items())])


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, dict)):
        parts = value.items() if isinstance(value, dict) else ((item,) for item in value)
        return ", ".join(": ".join(map(_shown, part)) for part in parts)
    return str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

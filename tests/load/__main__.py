"""Runs one proof or all, and writes what came of it into docs/reliability.md."""

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
from tests.load.soak import soak

PROOFS = [
    *("soak", "faults", "queue", "inputs"),
    *("bodies", "shapes", "adapter-files", "model-files"),
]
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def main(arguments: list[str]) -> int:
    """Runs what is named; the page keeps what was measured of the rest."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("proofs", nargs="*", default=PROOFS)
    parser.add_argument("--seconds", type=float, default=600, help="of the soak")
    parser.add_argument("--concurrent", type=int, default=32, help="requests of the soak at once")
    parser.add_argument("--requests", type=int, default=60, help="that meet the full queue")
    parser.add_argument("--cases", type=int, default=2500, help="of each kind of bad input")
    parser.add_argument("--attempts", type=int, default=1000, help="of bodies, and of shapes")
    parser.add_argument("--files", type=int, default=1000, help="mutated, of each kind")
    asked = parser.parse_args(arguments)
    proofs: Mapping[str, Callable[[], Mapping[str, Any]]] = {
        "soak": lambda: soak(asked.seconds, asked.concurrent),
        "faults": lambda: {name: fault() for name, fault in FAULTS.items()},
        "queue": lambda: queue_full(asked.requests),
        "inputs": lambda: inputs(asked.cases),
        "bodies": lambda: bodies(asked.attempts),
        "shapes": lambda: shapes(asked.attempts),
        "adapter-files": lambda: adapter_files(asked.files),
        "model-files": lambda: model_files(asked.files),
    }
    for name in asked.proofs:
        table = _table(proofs[name]())
        print(table, flush=True)
        command = " ".join(["python -m tests.load", name, *_options(arguments)])
        said = f"{machine()}; `{command}`.\n\n{table}"
        PAGE.write_text(rewritten(PAGE.read_text(), name, said))
    return 0


def _options(arguments: list[str]) -> list[str]:
    first = next((n for n, each in enumerate(arguments) if each.startswith("-")), len(arguments))
    return arguments[first:]


def _table(found: Mapping[str, Any]) -> str:
    """Two columns, or three where a value is a table of its own."""
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
        parts = value.items() if isinstance(value, dict) else ((each,) for each in value)
        return ", ".join(": ".join(map(_shown, part)) for part in parts)
    return str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

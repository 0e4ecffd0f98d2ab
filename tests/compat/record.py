"""Writes the outputs of all programs to `output`, from the environments of `make test-compat`.

Usage: `python -m tests.compat.record [PROGRAM ...]`. Read the differences before committing them;
those between the clients belong into `differences.py`.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from tests.compat.outputs import RUNS, output_file
from tests.compat.running import environment, run

WORKERS = 2


def record(version: str, program: str) -> None:
    """Runs one program, and writes its output."""
    path = output_file(version, program)
    path.parent.mkdir(parents=True, exist_ok=True)
    values = run(environment(version), program)
    path.write_text("".join(f"{label}: {value}\n" for label, value in values.items()))


if __name__ == "__main__":
    with ThreadPoolExecutor(WORKERS) as pool:
        chosen = [run for run in RUNS if run[1] in sys.argv[1:] or not sys.argv[1:]]
        list(pool.map(record, *zip(*chosen, strict=True)))

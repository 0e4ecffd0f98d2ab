"""Runs all benchmarks and writes their results into docs/benchmarks.md: `make bench`.

`python -m benchmarks NAME` runs one of them, such as `client`, `repack` or `endpoint`; further
arguments, such as `--rounds 5`, are passed to its command.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.page import rewritten
from friendli_endpoint.bench.machine import machine

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
PLOT = "docs/images/endpoint.png"

COMMANDS = {
    "client": ["benchmarks.client"],
    "repack": ["benchmarks.endpoint.repack"],
    "vocabulary": ["benchmarks.endpoint.vocabulary"],
    "step": ["benchmarks.endpoint.step"],
    "threads": ["benchmarks.endpoint.threads"],
    "chunks": ["benchmarks.endpoint.chunks"],
    "prefixes": ["benchmarks.endpoint.prefixes"],
    "commands": ["benchmarks.endpoint.commands"],
    "schemas": ["benchmarks.endpoint.schemas"],
    "coverage": ["benchmarks.endpoint.schemas.coverage"],
    "remote": ["benchmarks.remote"],
    "endpoint": [
        *("friendli_endpoint.cli", "bench", "--peer", "llama.cpp"),
        *("--plot", PLOT, "--table"),
    ],
}
IMAGES = {
    "client": "",
    "repack": "",
    "vocabulary": "![Step time by vocabulary size](images/vocabulary.png)\n\n",
    "step": "",
    "threads": "",
    "chunks": "",
    "prefixes": "",
    "commands": "![CPU time of commands](images/commands.png)\n\n",
    "schemas": "",
    "coverage": "",
    "remote": "",
    "endpoint": (
        "![Ratio to llama.cpp's server by workload](images/endpoint.png)\n\n"
        "![Step time by number of streams and by context length](images/endpoint-growth.png)\n\n"
    ),
}


def main(arguments: list[str]) -> int:
    """Runs the named benchmark or all of them; returns the maximum of their exit codes."""
    names = [name for name in COMMANDS if name in arguments[:1]] or [*COMMANDS]
    more = arguments[1:] if len(names) == 1 else arguments
    (ROOT / PLOT).parent.mkdir(exist_ok=True)
    return max(write(name, more) for name in names)


def write(name: str, more: list[str]) -> int:
    """Runs one benchmark and writes its output into the page, unless it is empty."""
    command = [*COMMANDS[name], *more]
    ran = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    print(ran.stdout, flush=True)
    if ran.stdout and "--help" not in more:
        content = f"{machine()}; `python -m {' '.join(command)}`.\n\n{IMAGES[name]}{ran.stdout}"
        PAGE.write_text(rewritten(PAGE.read_text(), name, content))
    return ran.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Measures what commands cost before they do anything: `python -m benchmarks.endpoint.commands`.

In each round every command is run once, after `python -c pass`: the ratio is the CPU time of the
command divided by that of the interpreter alone in the same round.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from friendli_endpoint.bench.plots import plot_multiples
from friendli_endpoint.bench.report import Table, markdown
from friendli_endpoint.bench.stats import ratios
from friendli_endpoint.cli.commands import COMMANDS

ROUNDS = 15
PLOT = Path("docs/images/commands.png")
PASS = "python -c pass"
LINES = {
    PASS: ["-c", "pass"],
    "import friendli": ["-c", "import friendli"],
    "friendli-endpoint --version": ["-m", "friendli_endpoint", "--version"],
    "friendli-endpoint --help": ["-m", "friendli_endpoint", "--help"],
    **{
        f"friendli-endpoint {name} --help": ["-m", "friendli_endpoint", name, "--help"]
        for name in COMMANDS
    },
}


def main(arguments: list[str]) -> int:
    """Prints a table and writes a plot."""
    rounds = int(arguments[0]) if arguments else ROUNDS
    measured: dict[str, list[float]] = {line: [] for line in LINES}
    for number in range(-1, rounds):  # the round before the first one fills caches
        for line, words in LINES.items():
            seconds = cpu_seconds(words)
            if number >= 0:
                measured[line].append(seconds)
    print(markdown(table(measured)))
    multiples = {line: ratios(values, measured[PASS]) for line, values in measured.items()}
    plot_multiples(multiples, f"CPU time, times {PASS}: median and range of {rounds} rounds", PLOT)
    return 0


def table(measured: Mapping[str, Sequence[float]]) -> Table:
    """Returns a row per command: its median CPU time, and the ratio to the interpreter alone."""
    rows = []
    for line, values in measured.items():
        spread = ratios(values, measured[PASS])
        times = f"{spread.median:.1f} ({spread.min:.1f} to {spread.max:.1f})"
        rows.append([f"`{line}`", f"{median(values) * 1000:.0f}", times])
    return Table(["command", "CPU ms", f"times `{PASS}` (min to max)"], rows)


def cpu_seconds(words: Sequence[str]) -> float:
    """Returns the CPU time of an interpreter with these arguments, user and system, in seconds.

    Raises:
        RuntimeError: It failed.
    """
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.DEVNULL, env=_environment()
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} failed with status {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def _environment() -> dict[str, str]:
    """Returns the environment with which Python writes and reads cached bytecode."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Runs one program, and reads the labelled lines that it prints."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.compat.server import serving

PROGRAMS = Path(__file__).parent / "programs"
ENVIRONMENTS = Path(__file__).parents[2] / ".venv" / "compat"
"""Folder where `make test-compat` creates one environment for each version."""

TIMEOUT_SECONDS = 120
FOREIGN_VARIABLES = ("FRIENDLI_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "PYTEST_")


def environment(version: str) -> Path:
    """Returns the interpreter of the environment of a version: 0.12.2, 0.16.5 or `ours`."""
    return ENVIRONMENTS / version / "bin" / "python"


def run(python: Path, program: str, pythonpath: Path | None = None) -> dict[str, str]:
    """Runs a program against a server of its own; returns its lines as values by label.

    Args:
        python: Interpreter of the environment with the client.
        program: Name of a file in `programs`, without the suffix.
        pythonpath: Folder with the client, if it is not installed in the environment.

    Raises:
        AssertionError: If it fails, or prints a line without a label or a label twice.
    """
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(FOREIGN_VARIABLES) and name != "PYTHONPATH"
    }
    if pythonpath is not None:
        variables["PYTHONPATH"] = str(pythonpath)
    with serving() as url:
        done = subprocess.run(
            [str(python), str(PROGRAMS / f"{program}.py")],
            env={**variables, "ENDPOINT_URL": url},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    assert done.returncode == 0, f"{program} failed:\n{done.stdout}\n{done.stderr}"
    return read(done.stdout.replace(url, "URL"))


def read(output: str) -> dict[str, str]:
    """Returns the values of lines `label: value` by label.

    Raises:
        AssertionError: If a line has no label, or a label that another has.
    """
    values: dict[str, str] = {}
    for line in output.splitlines():
        label, separator, value = line.partition(": ")
        assert separator, f"a line without a label: {line!r}"
        assert label not in values, f"two lines have the label {label!r}"
        values[label] = value
    return values

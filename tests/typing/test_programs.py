"""The types of the client, as type checkers see them from outside."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
MARKED = {
    number
    for number, line in enumerate((PROGRAMS / "bad.py").read_text().splitlines(), 1)
    if line.endswith("# wrong")
}


def mypy(program: Path, cache: Path) -> dict[int, str]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file="),
            *(f"--cache-dir={cache}", "--hide-error-context", "--no-pretty", str(program)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    found = re.findall(r"^.*?:(\d+): error: (.*)$", done.stdout, re.M)
    return {int(line): message for line, message in found}


def basedpyright(program: Path, cache: Path) -> dict[int, str]:
    (cache / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    (cache / program.name).write_text(program.read_text())
    done = subprocess.run(
        [
            *(sys.executable, "-m", "basedpyright", "--outputjson", "--project", str(cache)),
            *("--pythonpath", sys.executable),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {
        one["range"]["start"]["line"] + 1: one["message"]
        for one in found
        if one["severity"] == "error" and one.get("rule") != "reportUnusedExpression"
    }


@pytest.mark.parametrize("checker", [mypy, basedpyright])
def test_a_good_program_passes(checker: object, tmp_path: Path) -> None:
    assert callable(checker)
    assert checker(PROGRAMS / "good.py", tmp_path) == {}


@pytest.mark.parametrize("checker", [mypy, basedpyright])
def test_mistakes_are_found(checker: object, tmp_path: Path) -> None:
    assert callable(checker)
    assert checker(PROGRAMS / "bad.py", tmp_path).keys() == MARKED

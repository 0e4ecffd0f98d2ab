"""Programs for the published client run under ours, and print what is stored.

What they print under the published clients is stored too, and `make test-compat` compares it with
what they print now.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import friendli
from tests.compat.differences import DIFFERENCES, as_markdown
from tests.compat.outputs import NAMES, OURS, OUTPUT, RUNS, differing, output_file, stored
from tests.compat.running import run

SOURCE = Path(friendli.__file__).parents[1]
PAGE = Path(__file__).parents[2] / "docs" / "client.md"

NOT_INSTALLED_HERE = {"mocks_pytest_httpx"}
"""Programs whose libraries only the environments of `make test-compat` have."""


@pytest.mark.parametrize("program", [name for name in NAMES if name not in NOT_INSTALLED_HERE])
def test_program_prints_the_stored_output(program: str) -> None:
    assert run(Path(sys.executable), program, SOURCE) == stored(OURS, program)


def test_every_run_has_a_stored_output_and_nothing_else_has() -> None:
    expected = sorted(output_file(version, program) for version, program in RUNS)
    assert sorted(OUTPUT.rglob("*.txt")) == expected


@pytest.mark.parametrize(("version", "program"), [run for run in RUNS if run[0] != OURS])
def test_differences_are_those_of_the_table(version: str, program: str) -> None:
    listed = [
        label
        for row in DIFFERENCES
        for label in row.labels.get(program, ())
        if row.differs(version, label)
    ]
    assert sorted(listed) == differing(version, program)


def test_documentation_contains_the_table() -> None:
    assert as_markdown() in PAGE.read_text()

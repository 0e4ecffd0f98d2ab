"""Stored outputs of the programs: of both published clients, and of ours."""

from __future__ import annotations

from pathlib import Path

from tests.compat.running import PROGRAMS, read

OURS = "ours"
PUBLISHED = ("0.12.2", "0.16.5")
OUTPUT = Path(__file__).parent / "output"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py"))

OF_ONE_GENERATION = {"stream_method": "0.12.2", "stream_argument": "0.16.5"}
"""Programs that only one generation of the published client can run, and its version."""

RUNS = [
    (version, name)
    for name in NAMES
    for version in (*PUBLISHED, OURS)
    if OF_ONE_GENERATION.get(name, version) == version or version == OURS
]
"""Versions and programs that are run."""


def output_file(version: str, program: str) -> Path:
    """Returns the path of the stored output of a program under a version."""
    return OUTPUT / version / f"{program}.txt"


def stored(version: str, program: str) -> dict[str, str]:
    """Returns the stored values of a program by label."""
    return read(output_file(version, program).read_text())


def differing(version: str, program: str) -> list[str]:
    """Returns the labels whose stored values under a published version and ours are different."""
    theirs, ours = stored(version, program), stored(OURS, program)
    return sorted(label for label in {*theirs, *ours} if theirs.get(label) != ours.get(label))

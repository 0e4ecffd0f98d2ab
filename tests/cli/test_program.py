"""The name of the program in messages is found by the shell that the user types it into."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from friendli_endpoint.cli.program import program


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    path = tmp_path / "an environment" / "bin" / "friendli-endpoint"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\necho found\n")
    path.chmod(0o755)
    return path


def typed(program: str, path: str) -> str:
    """Returns the output of a shell in which the program is typed."""
    done = subprocess.run(
        ["/bin/sh", "-c", program],
        env={"PATH": path},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.strip()


def test_the_program_of_an_active_environment_has_its_name(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(installed), "serve"])
    monkeypatch.setenv("PATH", str(installed.parent))
    assert program() == "friendli-endpoint"
    assert typed(program(), os.environ["PATH"]) == "found"


@pytest.mark.parametrize("has_another", [False, True])
def test_elsewhere_the_program_is_named_by_the_path_it_was_started_by(
    installed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, has_another: bool
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if has_another:
        (elsewhere / "friendli-endpoint").write_text("#!/bin/sh\necho another\n")
        (elsewhere / "friendli-endpoint").chmod(0o755)
    monkeypatch.setenv("PATH", str(elsewhere))
    monkeypatch.chdir(installed.parents[1])
    monkeypatch.setattr(sys, "argv", ["bin/friendli-endpoint", "serve"])
    assert program() == "bin/friendli-endpoint"
    monkeypatch.setattr(sys, "argv", [str(installed), "serve"])
    assert shlex.split(program()) == [str(installed)]
    assert typed(program(), str(elsewhere)) == "found"


def test_a_module_is_named_with_its_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/friendli_endpoint/__main__.py", "serve"])
    assert shlex.split(program()) == [sys.executable, "-m", "friendli_endpoint"]

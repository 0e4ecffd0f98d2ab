"""Other distributions of the name `friendli` in the same folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import friendli
from friendli._mixture import mixture

PROGRAM = """
from friendli import SyncFriendli
SyncFriendli("t")
print("made")
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, to be changed."""
    assert friendli.__file__ is not None
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(friendli.__file__).parent, tmp_path / "friendli", ignore=ignored)
    return tmp_path


def run(folder: Path, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_this_package_is_no_mixture() -> None:
    assert mixture() is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("models.py", "friendli"),
        ("core/basesdk.py", "friendli"),
        ("sdk.py", "friendli-client"),
        ("schema/__init__.py", "friendli-client"),
    ],
)
def test_files_of_another_distribution_are_said_once_with_the_way_out(
    copy: Path, path: str, name: str
) -> None:
    stray = copy / "friendli" / path
    stray.parent.mkdir(exist_ok=True)
    stray.touch()
    done = run(copy, PROGRAM * 2)
    assert done.stdout == "made\nmade\n"
    assert done.stderr.count(f"a mixture of friendli-dedicated and {name}: both") == 1
    assert "constraint file" in done.stderr and "override-dependencies" in done.stderr


def test_an_import_that_the_mixture_breaks_gives_the_reason(copy: Path) -> None:
    (copy / "friendli" / "models.py").touch()
    shutil.rmtree(copy / "friendli" / "models")
    done = run(copy)
    assert done.returncode == 1
    assert "ImportError: the package friendli is a mixture" in done.stderr


def test_other_import_errors_are_unchanged(copy: Path) -> None:
    (copy / "friendli" / "types.py").write_text("import nonexistent")
    done = run(copy)
    assert "No module named 'nonexistent'" in done.stderr and "mixture" not in done.stderr

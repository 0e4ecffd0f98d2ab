"""`python -m friendli_endpoint` without the packages that it needs, and Ctrl-C as it starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("missing", ["typer", "uvicorn"])
def test_a_missing_package_of_the_extra_is_named(tmp_path: Path, missing: str) -> None:
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError(name={missing!r})")
    done = subprocess.run(
        [sys.executable, "-m", "friendli_endpoint", "serve"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"friendli-endpoint: {missing} is not installed; ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["typer", "pydantic_settings", "uvicorn"])
def test_ctrl_c_during_the_imports_ends_without_a_traceback(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text("raise KeyboardInterrupt")
    done = subprocess.run(
        [sys.executable, "-m", "friendli_endpoint", "serve"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")

"""`python -m friendli_endpoint`, where what it needs is not installed."""

import os
import subprocess
import sys
from pathlib import Path


def test_without_the_extra_the_command_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError(name='typer')")
    done = subprocess.run(
        [sys.executable, "-m", "friendli_endpoint", "serve"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("friendli-endpoint: typer is not installed; ")
    assert "Traceback" not in done.stderr

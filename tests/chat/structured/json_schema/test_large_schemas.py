"""Large schemas neither block a thread forever nor crash the process."""

import subprocess
import sys

import pytest

from tests.chat.structured.json_schema.large_schemas import FAMILIES
from tests.contract.live import environment

TIMEOUT_SECONDS = 200
"""All of them together take 10 to 20 seconds; before the limits, a single one took hours."""


@pytest.mark.load
def test_large_schemas_are_compiled_or_rejected() -> None:
    program = [sys.executable, "-m", "tests.chat.structured.json_schema.large_schemas"]
    done = subprocess.run(
        program,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.stdout.splitlines() == list(FAMILIES), (done.returncode, done.stderr[-2000:])

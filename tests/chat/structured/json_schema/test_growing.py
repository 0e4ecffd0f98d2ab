"""No schema, however it grows, keeps a thread at work for ever or ends the process."""

import subprocess
import sys

import pytest

from tests.chat.structured.json_schema.growing import FAMILIES
from tests.contract.live import environment

HANGS_SECONDS = 200
"""All of them together take ten or twenty seconds; a single one took hours."""


@pytest.mark.load
def test_a_schema_that_grows_in_any_way_is_taken_or_refused() -> None:
    program = [sys.executable, "-m", "tests.chat.structured.json_schema.growing"]
    done = subprocess.run(
        program,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=HANGS_SECONDS,
        check=False,
    )
    assert done.stdout.splitlines() == list(FAMILIES), (done.returncode, done.stderr[-2000:])

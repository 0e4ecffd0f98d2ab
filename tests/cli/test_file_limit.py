"""How many files `serve` may have open."""

import subprocess
import sys

import pytest

from tests.contract.live import environment

PROGRAM = """
import logging, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (%d, %d))
logging.basicConfig(format="%%(message)s")
from friendli_endpoint.server.run import _raise_file_limit
_raise_file_limit(200)
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "is_warned"),
    [(100, 400, 400, False), (300, 400, 300, False), (100, 150, 150, True), (150, 150, 150, True)],
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_goes(
    soft: int, hard: int, raised: int, is_warned: bool
) -> None:
    command = [sys.executable, "-c", PROGRAM % (soft, hard)]
    ended = subprocess.run(
        command, capture_output=True, text=True, env=environment(), timeout=60, check=True
    )
    assert ended.stdout.split() == [str(raised), str(hard)]
    assert ("--max-connections" in ended.stderr) is is_warned

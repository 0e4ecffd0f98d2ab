"""An endpoint whose log is not read keeps answering, and shuts down on a signal."""

import subprocess
from pathlib import Path

import httpx2
import pytest

from tests.contract.served import Placement

from .live import environment, serve_command, stop


@pytest.mark.parametrize("level", ["info", "debug"])
def test_an_unread_log_pipe_does_not_block_the_endpoint(
    level: str, small_model: Path, placement: Placement
) -> None:
    flags = ("--model", str(small_model), "--context", "256", "--threads", "1")
    with subprocess.Popen(
        serve_command(*flags, *placement.flags, "--log-level", level),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        try:
            banner = next(line for line in process.stdout if line.startswith(b"Serving "))
            address = banner.decode().partition(" on ")[2].split()[0]
            with httpx2.Client(base_url=address, timeout=60, trust_env=False) as client:
                for _ in range(1_000):
                    assert client.get("/health").status_code == 200
        finally:
            code = stop(process)
    assert code == 0

"""pytest fixtures for programs that use this client.

`friendli_endpoint` is an endpoint to test against: the real embedded one if `friendli_endpoint` is
installed (one process for the whole run), else the scripted one. `friendli_scripted` is always the
scripted one, new for each test. Both have `.url` for `server_url=`, and `.real`.

    def test_my_program(friendli_scripted):
        friendli_scripted.answer("Hello!")
        assert my_program(server_url=friendli_scripted.url) == "Hello!"
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import pytest

if TYPE_CHECKING:
    from friendli._scripted import ScriptedEndpoint

START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class RealEndpoint:
    """Embedded endpoint, running in its own process."""

    url: str
    real: bool = True


@pytest.fixture
def friendli_scripted() -> Iterator[ScriptedEndpoint]:
    """Endpoint that serves the answers that the test queues."""
    from friendli._scripted import ScriptedEndpoint

    endpoint = ScriptedEndpoint()
    try:
        yield endpoint
    finally:
        endpoint.close()


@pytest.fixture(scope="session")
def _friendli_process() -> Iterator[RealEndpoint | None]:
    if importlib.util.find_spec("friendli_endpoint") is None:
        yield None
        return
    command = [sys.executable, "-m", "friendli_endpoint.cli", "serve", "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with (
        tempfile.TemporaryFile("w+") as stderr,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment
        ) as process,
    ):
        try:
            yield RealEndpoint(_address(process, stderr))
        finally:
            process.terminate()


@pytest.fixture
def friendli_endpoint(
    request: pytest.FixtureRequest, _friendli_process: RealEndpoint | None
) -> RealEndpoint | ScriptedEndpoint:
    """Embedded endpoint if it is installed, else the scripted one."""
    if _friendli_process is not None:
        return _friendli_process
    scripted: ScriptedEndpoint = request.getfixturevalue("friendli_scripted")
    return scripted


def _address(process: subprocess.Popen[str], stderr: TextIO) -> str:
    """Return the URL in the line that the endpoint prints as soon as it serves."""
    assert process.stdout is not None
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            found = re.search(r"https?://[\w.\[\]:-]+:\d+", line)
            if found:
                # Keep reading, so that the endpoint never blocks on a full pipe.
                threading.Thread(target=process.stdout.read, daemon=True).start()
                return found.group()
    finally:
        watchdog.cancel()
    code = process.wait()
    stderr.seek(0)
    pytest.fail(
        f"friendli-endpoint did not start (exit code {code}):\n{stderr.read()[-2000:]}",
        pytrace=False,
    )

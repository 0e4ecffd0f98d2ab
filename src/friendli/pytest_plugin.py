"""pytest fixtures for programs that use this client.

`friendli_endpoint` is an endpoint to test against: the real embedded one where `friendli_endpoint`
is installed (one process for the whole run), the scripted one where it is not. `friendli_scripted`
is always the scripted one, new for each test. Both have `.url` for `server_url=`, and `.real`.

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
    """The embedded endpoint, running in a process of its own."""

    url: str
    real: bool = True


@pytest.fixture
def friendli_scripted() -> Iterator[ScriptedEndpoint]:
    """An endpoint that answers what the test tells it to."""
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
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, text=True, env=environment
        ) as process,
    ):
        try:
            yield RealEndpoint(_address(process, said))
        finally:
            process.terminate()


@pytest.fixture
def friendli_endpoint(
    request: pytest.FixtureRequest, _friendli_process: RealEndpoint | None
) -> RealEndpoint | ScriptedEndpoint:
    """The embedded endpoint where it is installed, else the scripted one."""
    if _friendli_process is not None:
        return _friendli_process
    scripted: ScriptedEndpoint = request.getfixturevalue("friendli_scripted")
    return scripted


def _address(process: subprocess.Popen[str], said: TextIO) -> str:
    """Wait for the line that says where the endpoint answers; it is printed when it does."""
    assert process.stdout is not None
    late = threading.Timer(START_SECONDS, process.kill)
    late.start()
    try:
        for line in process.stdout:
            found = re.search(r"https?://[\w.\[\]:-]+:\d+", line)
            if found:
                # Read on, so that the endpoint never waits for its own output.
                threading.Thread(target=process.stdout.read, daemon=True).start()
                return found.group()
    finally:
        late.cancel()
    code = process.wait()
    said.seek(0)
    pytest.fail(
        f"friendli-endpoint did not start (exit code {code}):\n{said.read()[-2000:]}", pytrace=False
    )

"""Session fixtures: one endpoint with the real model, and clients in virtual environments."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.engine.llama.model import find_embedded_model
from tests.contract.live import Live
from tests.contract.served import Placement, served
from tests.support.lora import write_loras
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs

SEQUENCES = 8
CONTEXT = 1024
PATH = "/dedicated/v1/chat/completions"
TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Endpoint:
    """A running endpoint."""

    address: str

    def post(self, body: dict[str, Any] | bytes, headers: dict[str, str] | None = None) -> "Answer":
        """Sends a chat request and reads the answer, whatever its status."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            self.address + PATH, data, {"content-type": "application/json", **(headers or {})}
        )
        return self._answer(request)

    @staticmethod
    def _answer(request: urllib.request.Request) -> "Answer":
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                return Answer(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())

    def complete(self, **body: Any) -> dict[str, Any]:
        """Returns the JSON of a completion, which must succeed."""
        answer = self.post(chat_body(**body))
        assert answer.status == 200, answer.body
        return answer.json()

    def send(self, path: str, body: dict[str, Any] | None, method: str = "POST") -> "Answer":
        """Sends a request to any route."""
        data = json.dumps(body).encode() if body is not None else None
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        return self._answer(request)

    def stream(self, **body: Any) -> list[dict[str, Any]]:
        """Returns the chunks of a stream, which must end with `[DONE]`."""
        answer = self.post(chat_body(**body, stream=True))
        assert answer.status == 200, answer.body
        lines = [line for line in answer.body.decode().split("\n\n") if line.startswith("data: ")]
        assert lines.pop() == "data: [DONE]"
        return [json.loads(line[6:]) for line in lines]


@dataclass(frozen=True)
class Answer:
    """A raw HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """Returns the parsed body."""
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    def error(self) -> dict[str, Any]:
        """Returns the error, which must have the common format."""
        parsed = self.json()
        assert set(parsed) == {"error"}
        error: dict[str, Any] = parsed["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        return error


def chat_body(content: str = "Tell me about the sea.", **body: Any) -> dict[str, Any]:
    """Returns a chat request with one user message."""
    return {"model": "m", "messages": [{"role": "user", "content": content}], **body}


@pytest.fixture(scope="session")
def loras(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Writes two adapters; the endpoint serves the first as `one`, the second can be loaded."""
    return write_loras(tmp_path_factory.mktemp("loras"), find_embedded_model(), range(2))


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes a model with two small layers, which starts in a third of the embedded one's time."""
    return write_byte_pairs(tmp_path_factory.mktemp("small") / "model.gguf", LLAMA)


@pytest.fixture(scope="session")
def endpoint(loras: list[Path], placement: Placement) -> Iterator[Endpoint]:
    """Runs the endpoint on a free port."""
    capacity = ["--max-sequences", str(SEQUENCES), "--context", str(CONTEXT), "--threads", "1"]
    adapters = ["--adapter", f"one={loras[0]}", "--adapter-dir", str(loras[0].parent)]
    with served(*capacity, *adapters, *placement.flags) as running:
        yield Endpoint(running.address)


@pytest.fixture(scope="session")
def live(endpoint: Endpoint) -> Live:
    """Returns a client for the same endpoint that can send raw bytes."""
    return Live(endpoint.address)


CLIENT_PACKAGES = {
    "friendli-0.12": ("friendli==0.12.2",),
    "friendli-0.16": ("--no-deps", "friendli==0.16.5"),
    "openai": ("openai==3.54.0",),
}
EXTRA_PACKAGES = {"friendli-0.16": ("httpx", "pydantic", "certifi")}


class ClientEnvironments:
    """Virtual environments with other clients, each created at its first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Path] = {}

    def run(self, name: str, program: str, address: str, *arguments: str) -> str:
        """Runs a program in an environment, `ours` for the present one; returns its output."""
        python, variables = Path(sys.executable), dict(os.environ)
        if name != "ours":
            python = self._made.get(name) or self._make(name)
            variables.pop("PYTHONPATH", None)  # it may lead to our client
        done = subprocess.run(
            [python, "-c", program, address, *arguments],
            env={**variables, "ADDRESS": address, "FRIENDLI_TOKEN": "token"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _make(self, name: str) -> Path:
        folder = self._folder / name
        venv.create(folder, with_pip=False)
        pip = [sys.executable, "-m", "pip", "--python", str(folder), "install", "--quiet"]
        python = folder / "bin" / "python"
        for packages in (CLIENT_PACKAGES[name], EXTRA_PACKAGES.get(name)):
            if packages:
                command = [*pip, *packages]
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS * 2
                )
                assert done.returncode == 0, f"cannot install {packages}: {done.stderr}"
        self._made[name] = python
        return python


@pytest.fixture(scope="session")
def client_environments(tmp_path_factory: pytest.TempPathFactory) -> ClientEnvironments:
    """Returns environments with the published friendli clients and openai's client."""
    return ClientEnvironments(tmp_path_factory.mktemp("client_environments"))

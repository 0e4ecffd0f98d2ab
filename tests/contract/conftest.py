"""One real endpoint with the real model for the whole session, and clients in their own rooms."""

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
from tests.contract.served import served
from tests.support.lora import write_loras
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs

SEQUENCES = 8
CONTEXT = 1024
PATH = "/dedicated/v1/chat/completions"
PATIENCE = 120


@dataclass(frozen=True)
class Endpoint:
    """A running endpoint."""

    address: str

    def post(self, body: dict[str, Any] | bytes, headers: dict[str, str] | None = None) -> "Answer":
        """Sends a chat request and reads the whole answer, whatever its status."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            self.address + PATH, data, {"content-type": "application/json", **(headers or {})}
        )
        return self._answer(request)

    @staticmethod
    def _answer(request: urllib.request.Request) -> "Answer":
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return Answer(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())

    def whole(self, **body: Any) -> dict[str, Any]:
        """A whole answer, which must be a success."""
        answer = self.post(asking(**body))
        assert answer.status == 200, answer.body
        return answer.json()

    def send(self, path: str, body: dict[str, Any] | None, method: str = "POST") -> "Answer":
        """Sends a request of any kind."""
        data = json.dumps(body).encode() if body is not None else None
        return self._answer(urllib.request.Request(self.address + path, data, method=method))

    def stream(self, **body: Any) -> list[dict[str, Any]]:
        """The chunks of a streamed answer, which must end as it should."""
        answer = self.post(asking(**body, stream=True))
        assert answer.status == 200, answer.body
        lines = [line for line in answer.body.decode().split("\n\n") if line.startswith("data: ")]
        assert lines.pop() == "data: [DONE]"
        return [json.loads(line[6:]) for line in lines]


@dataclass(frozen=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body."""
        read: dict[str, Any] = json.loads(self.body)
        return read

    def error(self) -> dict[str, Any]:
        """The error in the one form that errors have."""
        read = self.json()
        assert set(read) == {"error"}
        assert set(read["error"]) == {"message", "type", "param", "code"}
        assert read["error"]["message"]
        error: dict[str, Any] = read["error"]
        return error


def asking(content: str = "Tell me about the sea.", **body: Any) -> dict[str, Any]:
    """A request about something."""
    return {"model": "m", "messages": [{"role": "user", "content": content}], **body}


@pytest.fixture(scope="session")
def loras(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two adapters; the endpoint serves the first as `one`, and lets the second be loaded."""
    return write_loras(tmp_path_factory.mktemp("loras"), find_embedded_model(), range(2))


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two small layers, which starts in a third of the embedded model's time."""
    return write_byte_pairs(tmp_path_factory.mktemp("small") / "model.gguf", LLAMA)


@pytest.fixture(scope="session")
def endpoint(loras: list[Path]) -> Iterator[Endpoint]:
    """The endpoint, on a port of its own; stopped by its process id."""
    capacity = ["--max-sequences", str(SEQUENCES), "--context", str(CONTEXT), "--threads", "1"]
    adapters = ["--adapter", f"one={loras[0]}", "--adapter-dir", str(loras[0].parent)]
    with served(*capacity, *adapters) as running:
        yield Endpoint(running.address)


@pytest.fixture(scope="session")
def live(endpoint: Endpoint) -> Live:
    """The same endpoint, down to the bytes."""
    return Live(endpoint.address)


ROOMS = {
    "friendli-0.12": ("friendli==0.12.2",),
    "friendli-0.16": ("--no-deps", "friendli==0.16.5"),
    "openai": ("openai==3.54.0",),
}
BESIDES = {"friendli-0.16": ("httpx", "pydantic", "certifi")}


class Rooms:
    """Virtual environments of other clients, each made when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Path] = {}

    def run(self, name: str, program: str, address: str, *arguments: str) -> str:
        """Runs a program in a room, or in ours, and gives what it prints."""
        python, variables = Path(sys.executable), dict(os.environ)
        if name != "ours":
            python = self._made.get(name) or self._make(name)
            variables.pop("PYTHONPATH", None)  # where our client may come from
        done = subprocess.run(
            [python, "-c", program, address, *arguments],
            env={**variables, "ADDRESS": address, "FRIENDLI_TOKEN": "token"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _make(self, name: str) -> Path:
        folder = self._folder / name
        venv.create(folder, with_pip=False)
        pip = [sys.executable, "-m", "pip", "--python", str(folder), "install", "--quiet"]
        python = folder / "bin" / "python"
        for packages in (ROOMS[name], BESIDES.get(name)):
            if packages:
                command = [*pip, *packages]
                done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE * 2)
                assert done.returncode == 0, f"cannot install {packages}: {done.stderr}"
        self._made[name] = python
        return python


@pytest.fixture(scope="session")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Rooms:
    """Rooms of the published clients and of openai's."""
    return Rooms(tmp_path_factory.mktemp("rooms"))

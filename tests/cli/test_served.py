"""The models of an endpoint, and a chat that starts its own endpoint."""

import json
import threading
from collections.abc import Iterator

import pytest

from .command import run, sentence
from .file_server import FileServer


@pytest.fixture
def server() -> Iterator[FileServer]:
    cards = [{"id": "first", "root": "some model", "max_model_len": 512}, {"id": "second"}]
    server = FileServer(json.dumps({"object": "list", "data": cards}).encode())
    yield server
    server.close()


@pytest.mark.parametrize("content", [b"no JSON", b"[]", b'{"data": 1}', b'{"data": [{}]}'])
def test_an_invalid_model_list_is_an_error_of_one_line(server: FileServer, content: bytes) -> None:
    server.content = content
    assert "list of models" in sentence(run("models", "--url", server.url))


@pytest.mark.parametrize("command", ["models", "chat"])
def test_an_error_of_the_endpoint_is_an_error_of_one_line(server: FileServer, command: str) -> None:
    server.status = 401
    server.content = b'{"error": {"message": "this wants a token"}}'
    error = sentence(run(command, "--url", server.url))
    assert error.endswith("/dedicated/v1/models responded with 401: this wants a token")


def test_an_invalid_url_is_an_error_of_one_line() -> None:
    assert "nowhere" in sentence(run("models", "--url", "nowhere"))


def test_an_endpoint_without_models_needs_an_endpoint_id(server: FileServer) -> None:
    server.content = b'{"data": []}'
    assert "--endpoint-id" in sentence(run("chat", "--url", server.url))


@pytest.mark.model
def test_a_chat_starts_its_own_endpoint() -> None:
    result = run(
        "chat",
        typed="/set max_tokens 3\n/set min_tokens 3\nHello!\n/show\n",
        FRIENDLI_ENDPOINT_MAX_SEQUENCES="1",
        FRIENDLI_ENDPOINT_CONTEXT="256",
        FRIENDLI_ENDPOINT_THREADS="1",
        FRIENDLI_ENDPOINT_ENDPOINT_ID='["mine"]',
    )
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith("messages: 2\n")
    assert not any(thread.name == "endpoint" for thread in threading.enumerate())

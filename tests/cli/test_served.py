"""What an endpoint lists, and a chat with an endpoint of its own."""

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
def test_what_is_no_list_is_one_sentence(server: FileServer, content: bytes) -> None:
    server.content = content
    assert "list of models" in sentence(run("models", "--url", server.url))


@pytest.mark.parametrize("command", ["models", "chat"])
def test_an_endpoint_that_refuses_is_one_sentence(server: FileServer, command: str) -> None:
    server.status = 401
    server.content = b'{"error": {"message": "this wants a token"}}'
    said = sentence(run(command, "--url", server.url))
    assert said.endswith("/dedicated/v1/models answers 401: this wants a token")


def test_an_address_that_is_none_is_one_sentence() -> None:
    assert "nowhere" in sentence(run("models", "--url", "nowhere"))


def test_an_endpoint_that_serves_nothing_needs_an_id(server: FileServer) -> None:
    server.content = b'{"data": []}'
    assert "--endpoint-id" in sentence(run("chat", "--url", server.url))


@pytest.mark.model
def test_a_chat_has_an_endpoint_of_its_own() -> None:
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

"""An endpoint behind a command: it answers, ends with its block, and says why it cannot start."""

import logging
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from friendli_endpoint.app import Endpoint, create_app
from friendli_endpoint.generation import StartError
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.server.background import running
from friendli_endpoint.service import EndpointService
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Telemetry
from tests.support.source import HeldSource

MODELS = "/dedicated/v1/models"


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> HeldSource:
    """The model of every endpoint, which is there at once."""
    source = HeldSource()
    source.go_on.set()
    monkeypatch.setattr("friendli_endpoint.app.source_of", lambda _settings: source)
    return source


def is_running() -> bool:
    return any(thread.name == "endpoint" for thread in threading.enumerate())


def test_it_answers_within_the_block_and_ends_with_it(source: HeldSource) -> None:
    with running(Settings()) as address:
        assert httpx2.get(address + MODELS).json()["data"][0]["id"] == "m"
        assert is_running()
    assert not is_running()
    assert source.loop.closed == 1
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        pass  # the port is free again


def test_it_ends_where_the_block_fails(source: HeldSource) -> None:
    with pytest.raises(KeyboardInterrupt), running(Settings()):
        raise KeyboardInterrupt
    assert not is_running()
    assert source.loop.closed == 1


@pytest.mark.usefixtures("source")
def test_it_serves_this_machine_only_and_without_a_token(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("secret\n")
    settings = Settings(host="0.0.0.0", port=9, tokens="another", token_file=file)
    with running(settings) as address:
        assert address.startswith("http://127.0.0.1:")
        assert not address.endswith(":9")
        assert httpx2.get(address + MODELS).status_code == 200


def test_a_model_that_cannot_be_loaded_is_raised(source: HeldSource) -> None:
    source.fault = StartError("there is no model")
    with pytest.raises(StartError, match="there is no model"), running(Settings()):
        pytest.fail("it has started")
    assert not is_running()


def test_an_endpoint_that_ends_before_it_answers_is_raised(
    source: HeldSource, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)

    @asynccontextmanager
    async def failing(_app: FastAPI) -> AsyncIterator[None]:
        if source.go_on.is_set():
            raise OSError("no lifespan")
        yield

    service = EndpointService(Settings(), source, Telemetry())
    app = create_app(service, Policy(max_body=1000))
    app.router.lifespan_context = failing
    endpoint = Endpoint(app, service, Policy(max_body=1000))
    monkeypatch.setattr(
        "friendli_endpoint.server.background.joined", lambda *_args, **_callbacks: endpoint
    )
    with pytest.raises(StartError, match="ended before it answered"), running(Settings()):
        pytest.fail("it has started")
    assert not is_running()

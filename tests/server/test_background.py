"""An endpoint in a background thread: it serves, stops with its block, and raises if it fails."""

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
    """The model of every endpoint; it loads at once."""
    source = HeldSource()
    source.go_on.set()
    monkeypatch.setattr("friendli_endpoint.app.source_of", lambda _settings: source)
    return source


def is_running() -> bool:
    return any(thread.name == "endpoint" for thread in threading.enumerate())


def test_the_endpoint_serves_within_the_block_and_stops_with_it(source: HeldSource) -> None:
    with running(Settings()) as address:
        assert httpx2.get(address + MODELS).json()["data"][0]["id"] == "m"
        assert is_running()
    assert not is_running()
    assert source.loop.closed == 1
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        pass  # the port is free again


def test_the_endpoint_stops_if_the_block_raises(source: HeldSource) -> None:
    with pytest.raises(KeyboardInterrupt), running(Settings()):
        raise KeyboardInterrupt
    assert not is_running()
    assert source.loop.closed == 1


@pytest.mark.usefixtures("source")
def test_connections_are_those_of_the_server() -> None:
    offer = {"connection": "Upgrade", "upgrade": "h2c", "content-type": "application/json"}
    with running(Settings()) as address:
        answer = httpx2.post(f"{address}/dedicated/v1/tokenize", headers=offer, content=b"{}")
        assert answer.status_code == 422, "the body has arrived"


@pytest.mark.usefixtures("source")
def test_the_endpoint_is_local_and_needs_no_token(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("secret\n")
    settings = Settings(host="0.0.0.0", port=9, tokens="another", token_file=file)
    with running(settings) as address:
        assert address.startswith("http://127.0.0.1:")
        assert not address.endswith(":9")
        assert httpx2.get(address + MODELS).status_code == 200


def test_an_error_loading_the_model_is_raised(source: HeldSource) -> None:
    source.fault = StartError("there is no model")
    with pytest.raises(StartError, match="there is no model"), running(Settings()):
        pytest.fail("it has started")
    assert not is_running()


def test_an_endpoint_that_ends_before_it_is_ready_raises(
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
        "friendli_endpoint.server.background.create_endpoint", lambda *_args, **_callbacks: endpoint
    )
    with pytest.raises(StartError, match="ended before it was ready"), running(Settings()):
        pytest.fail("it has started")
    assert not is_running()

"""Mocks of httpx, which this client does not use."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from unittest import mock

import httpcore2
import httpx
import httpx2
import pytest
import respx

from friendli import SyncFriendli
from friendli._transport import mocks
from friendli._transport.mocks import is_transport_replaced

from ..conftest import Caller, ask
from ..wire import Serve, completion, json_answer

MOCKS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "respx": lambda: respx.mock(assert_all_called=False),
    "patched send": lambda: mock.patch("httpx.Client.send"),
    "patched async send": lambda: mock.patch("httpx.AsyncClient.send"),
    "pytest-httpx": lambda: mock.patch.object(
        httpx.HTTPTransport, "handle_request", lambda self, request: None
    ),
}


@pytest.fixture(autouse=True)
def never_warned() -> Iterator[None]:
    mocks._state["warned"] = False
    yield
    mocks._state["warned"] = False


@pytest.mark.parametrize("name", MOCKS)
def test_active_mock_is_logged_once(
    serve: Serve, caller: Caller, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    server = serve(json_answer(completion()))
    with MOCKS[name]():
        caller.call(server.url)
        caller.call(server.url)
    [record] = caplog.records
    assert (record.name, record.levelno) == ("friendli", logging.WARNING)
    assert "sends through httpx2, past the mock" in record.getMessage()
    assert "client=httpx.Client()" in record.getMessage()


def test_nothing_is_logged_without_a_mock_or_with_a_client_of_httpx(
    serve: Serve, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(json_answer(completion()))
    caller.call(server.url)
    with respx.mock() as router:
        router.post(url__startswith=server.url).respond(json=completion("mocked"))
        with (
            httpx.Client() as supplied,
            SyncFriendli("t", server_url=server.url, client=supplied) as client,
        ):
            assert ask(client).choices[0].message.content == "mocked"
    assert caplog.records == []


def test_no_mock_is_imported() -> None:
    program = (
        "import sys, friendli\n"
        "client = friendli.SyncFriendli('t', server_url='http://127.0.0.1:9', retry_config=None)\n"
        "try: client.dedicated.chat.complete(model='e', messages=[])\n"
        "except friendli.NetworkError: pass\n"
        "print({'httpx', 'httpcore', 'respx', 'pytest_httpx', 'unittest.mock'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "set()\n"


class TestReplacedTransports:
    """Mocks and instrumentation replace methods of the transports of httpx2, and see every call."""

    def test_mock_answers_also_of_a_client_that_was_used_before(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = serve(json_answer(completion()))
        with SyncFriendli("t", server_url=server.url) as client:
            ask(client)
            with monkeypatch.context() as patch:
                patch.setattr(
                    httpx2.HTTPTransport,
                    "handle_request",
                    lambda self, request: httpx2.Response(200, json=completion("mocked")),
                )
                assert ask(client).choices[0].message.content == "mocked"
            ask(client)
        assert (len(server.requests), server.connections) == (2, 1)

    def test_async_mock_answers(self, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        async def handle(transport: object, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, json=completion("mocked"))

        def handle_sync(transport: object, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, json=completion("mocked"))

        monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", handle)
        monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", handle_sync)
        assert caller.call("http://nowhere.invalid").choices[0].message.content == "mocked"

    @pytest.mark.parametrize("module, owner, name", mocks._OF_TRANSPORTS)
    def test_replacement_is_noticed(self, module: str, owner: str, name: str) -> None:
        cls = getattr({"httpx2": httpx2, "httpcore2": httpcore2}[module], owner)
        assert not is_transport_replaced()
        with mock.patch.object(cls, name):
            assert is_transport_replaced()
        original = getattr(cls, name)

        class Wrapper:
            """Object that has the attributes of what it wraps, as instrumentation uses."""

            def __getattr__(self, attribute: str) -> object:
                return getattr(original, attribute)

        with mock.patch.object(cls, name, Wrapper()):
            assert is_transport_replaced()
        assert not is_transport_replaced()

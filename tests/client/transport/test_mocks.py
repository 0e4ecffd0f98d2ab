"""Mocks of httpx, which this client does not use."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from unittest import mock

import httpx
import pytest
import respx

from friendli import SyncFriendli
from friendli._transport import mocks

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

"""Conversion of the HTTP library's errors."""

from __future__ import annotations

import errno
import pickle
import sys
import traceback
import types
from collections.abc import Iterator
from typing import Any

import pytest

import friendli
from friendli._transport.clock import CallClock
from friendli._transport.network import network_error

from ..conftest import Caller, ask
from ..wire import Serve


@pytest.fixture
def fake_httpx() -> Iterator[Any]:
    """Fake module `httpx` in `sys.modules`, as if the program had imported it."""
    real = sys.modules.pop("httpx", None)
    module: Any = types.ModuleType("httpx")

    class TransportError(Exception):
        def __init__(self, message: str, *, request: Any = None) -> None:
            super().__init__(message)
            self._request = request

        @property
        def request(self) -> Any:
            return self._request

    module.TransportError = TransportError
    for name in ("ConnectError", "ReadTimeout", "ReadError", "RemoteProtocolError"):
        setattr(module, name, type(name, (TransportError,), {"__module__": "httpx"}))
    sys.modules["httpx"] = module
    yield module
    del sys.modules["httpx"]
    if real is not None:
        sys.modules["httpx"] = real


class TestNetwork:
    def test_error_is_caught_as_own_builtin_and_library_class(
        self, fake_httpx: Any, caller: Caller
    ) -> None:
        import httpx2

        with pytest.raises(fake_httpx.ConnectError) as caught:
            caller.call("http://127.0.0.1:9", retries=None)
        error = caught.value
        assert isinstance(error, friendli.ConnectFailedError | ConnectionError)
        assert isinstance(error, httpx2.ConnectError)
        assert isinstance(error.__cause__, httpx2.ConnectError)
        assert error.request.method == "POST"
        assert str(error).startswith("ConnectError: the connection could not be made")
        assert "POST http://127.0.0.1:9/dedicated/v1/chat/completions" in str(error)

    def test_traceback_of_a_refused_connection_is_short(self, caller: Caller) -> None:
        with pytest.raises(friendli.ConnectFailedError) as caught:
            caller.call("http://127.0.0.1:9", retries=None)
        lines = "".join(traceback.format_exception(caught.value.__cause__)).splitlines()
        assert lines == [f"httpx2.ConnectError: {caught.value.__cause__}"]

    def test_traceback_of_the_program_s_own_transport_is_kept(self) -> None:
        import httpx2

        def handle(request: Any) -> Any:
            raise httpx2.ConnectError("mine")

        with (
            httpx2.Client(transport=httpx2.MockTransport(handle)) as supplied,
            friendli.SyncFriendli("t", client=supplied, retry_config=None) as client,
            pytest.raises(friendli.ConnectFailedError) as caught,
        ):
            ask(client)
        assert "in handle" in "".join(traceback.format_exception(caught.value))

    @pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
    def test_error_without_a_file_descriptor_left_says_so(self, number: int) -> None:
        import httpx2

        cause = httpx2.ConnectError("x")
        cause.__cause__ = OSError(number, "Too many open files")
        error = network_error(cause, "POST u")
        assert error is not None and "no file descriptor left" in str(error)
        assert "Check server_url" not in str(error)

    def test_read_timeout_is_a_timeout_error(
        self, serve: Serve, fake_httpx: Any, caller: Caller
    ) -> None:
        from ..wire import Peer

        with pytest.raises(fake_httpx.ReadTimeout) as caught:
            caller.call(serve(Peer.wait_for_disconnect).url, timeout_ms=30)
        assert isinstance(caught.value, TimeoutError)
        assert isinstance(caught.value, ConnectionError)
        assert "timeout_ms" in str(caught.value)

    def test_combined_classes_are_created_once(self, fake_httpx: Any) -> None:
        import httpx2

        first = network_error(httpx2.ReadError("x"), "POST u")
        second = network_error(httpx2.ReadError("y"), "POST u")
        assert type(first) is type(second)
        assert isinstance(first, fake_httpx.ReadError)

    def test_builtin_errors_are_converted(self) -> None:
        assert isinstance(network_error(TimeoutError(), "u"), friendli.RequestTimeoutError)
        assert isinstance(network_error(ConnectionResetError(), "u"), friendli.NetworkError)
        refused = network_error(ConnectionRefusedError(), "u")
        assert isinstance(refused, friendli.ConnectFailedError)
        assert network_error(KeyError("x"), "u") is None

    def test_network_errors_pickle(self) -> None:
        import httpx2

        error = network_error(httpx2.ReadTimeout("slow"), "POST u")
        assert error is not None
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error) and again.kind == "ReadTimeout"

    @pytest.mark.parametrize(
        "limits, kind",
        [((1e-9, None), "DeadlineExceededError"), ((None, 1e-9), "ResponseStalledError")],
    )
    def test_errors_of_passed_limits_pickle(
        self, limits: tuple[float | None, float | None], kind: str
    ) -> None:
        import httpx2

        clock = CallClock(*limits)
        with pytest.raises(TimeoutError):
            clock.begin_read()
        error = network_error(ConnectionResetError(), "POST u", clock)
        assert isinstance(error, getattr(friendli, kind))
        assert isinstance(error, httpx2.TimeoutException)
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error) and str(again) == str(error)

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import friendli
from friendli import SyncFriendli, _errors, models
from friendli._transport.network import network_error

from .conftest import Async, Sync
from .wire import MESSAGES, Server, answer, json_answer

Way = Sync | Async
Serve = Callable[..., Server]
SECRET = "flp_very-secret-token"
ERROR = {"error": {"message": "no such endpoint", "type": "x", "param": "model", "code": "nope"}}


@pytest.mark.parametrize(
    "status, kind",
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (409, "SDKError"),
        (413, "RequestTooLargeError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "ServerError"),
        (503, "ServerError"),
        (599, "ServerError"),
    ],
)
@pytest.mark.parametrize("method", ["complete", "stream"])
def test_leaves(serve: Serve, way: Way, method: str, status: int, kind: str) -> None:
    server = serve(json_answer(ERROR, status, x_request_id="r-7"))
    with pytest.raises(models.SDKError) as caught:
        way.call(server.url, method, retries=None)
    error = caught.value
    assert type(error) is getattr(friendli, kind)
    assert (error.status_code, error.request_id) == (status, "r-7")
    assert (error.code, error.param, error.error) == ("nope", "model", ERROR["error"])
    assert error.headers["Content-Type"] == "application/json"
    assert error.raw_response.status_code == status
    first, second = str(error).split("\n")
    assert first == f"API error occurred: Status {status}. Body: {error.body}"
    assert second.startswith(f"POST {server.url}/dedicated/v1/chat/completions (request id r-7)")
    assert error.message == str(error)


@pytest.mark.parametrize(
    "reply, text",
    [
        (answer(b"<html>", content_type="text/html"), "Content-Type text/html. Body: <html>"),
        (answer(b"", content_type=None), 'Content-Type "". Body: '),
        (answer(b"", 204), "Status 204. Body: "),
        (answer(b"{}", content_type="a/b; c=d"), 'Content-Type "a/b; c=d"'),
    ],
)
def test_unexpected(serve: Serve, way: Way, reply: bytes, text: str) -> None:
    with pytest.raises(friendli.UnexpectedResponseError) as caught:
        way.call(serve(reply).url)
    assert str(caught.value).startswith("Unexpected response received: Status 20")
    assert text in str(caught.value)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"id": 1}', b"\xff"])
def test_broken_answers(serve: Serve, way: Way, body: bytes) -> None:
    with pytest.raises(
        models.ResponseValidationError, match="Response validation failed"
    ) as caught:
        way.call(serve(answer(body)).url)
    assert caught.value.cause is caught.value.__cause__ is not None
    assert caught.value.body == body.decode(errors="replace")


def test_content_type_is_read_loosely(serve: Serve, way: Way) -> None:
    import json

    from .wire import completion

    body = json.dumps(completion()).encode()
    way.call(serve(answer(body, content_type="Application/JSON; charset=utf-8")).url)


def test_long_bodies_are_cut(serve: Serve) -> None:
    with pytest.raises(models.SDKError) as caught:
        Sync().call(serve(answer(b"x" * 10_005, 400)).url)
    assert "x...and 5 more chars" in str(caught.value)
    assert len(caught.value.body) == 10_005


def test_old_names_and_bases() -> None:
    assert issubclass(models.SDKError, models.FriendliCoreError)
    assert issubclass(models.ResponseValidationError, models.FriendliCoreError)
    assert issubclass(models.HTTPValidationError, models.FriendliCoreError)
    assert not issubclass(models.NoResponseError, models.FriendliCoreError)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = _errors.__doc__ or ""
    for name in friendli.__all__:
        cls = getattr(friendli, name)
        if isinstance(cls, type) and issubclass(cls, Exception):
            assert f" {name} " in drawn.replace("\n", " \n"), name
            assert issubclass(cls, friendli.FriendliError)


@pytest.fixture
def fake_httpx() -> Iterator[Any]:
    """A program that has imported httpx; this environment need not have it."""
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
    def test_all_three_ways_of_catching(self, fake_httpx: Any, way: Way) -> None:
        import httpx2

        with pytest.raises(fake_httpx.ConnectError) as caught:
            way.call("http://127.0.0.1:9", retries=None)
        error = caught.value
        assert isinstance(error, friendli.ConnectFailedError | ConnectionError)
        assert isinstance(error, httpx2.ConnectError)
        assert isinstance(error.__cause__, httpx2.ConnectError)
        assert error.request.method == "POST"
        assert str(error).startswith("ConnectError: the connection could not be made")
        assert "POST http://127.0.0.1:9/dedicated/v1/chat/completions" in str(error)

    def test_timeouts(self, serve: Serve, fake_httpx: Any, way: Way) -> None:
        from .wire import Peer

        with pytest.raises(fake_httpx.ReadTimeout) as caught:
            way.call(serve(Peer.wait_until_left).url, timeout_ms=30)
        assert isinstance(caught.value, TimeoutError)
        assert isinstance(caught.value, ConnectionError)
        assert "timeout_ms" in str(caught.value)

    def test_one_class_for_each_combination(self, fake_httpx: Any) -> None:
        import httpx2

        one = network_error(httpx2.ReadError("x"), "POST u")
        two = network_error(httpx2.ReadError("y"), "POST u")
        assert type(one) is type(two)
        assert isinstance(one, fake_httpx.ReadError)

    def test_builtin_errors_of_a_foreign_client(self) -> None:
        assert isinstance(network_error(TimeoutError(), "u"), friendli.RequestTimeoutError)
        assert isinstance(network_error(ConnectionResetError(), "u"), friendli.NetworkError)
        refused = network_error(ConnectionRefusedError(), "u")
        assert isinstance(refused, friendli.ConnectFailedError)
        assert network_error(KeyError("x"), "u") is None

    def test_pickle(self) -> None:
        import httpx2

        error = network_error(httpx2.ReadTimeout("slow"), "POST u")
        assert error is not None
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error) and again.kind == "ReadTimeout"


def test_answers_errors_pickle_without_the_request(serve: Serve) -> None:
    server = serve(json_answer(ERROR, 404, x_request_id="r"))
    with (
        SyncFriendli(SECRET, server_url=server.url) as client,
        pytest.raises(friendli.NotFoundError) as caught,
    ):
        client.dedicated.chat.complete(model="e", messages=MESSAGES)
    pickled = pickle.dumps(caught.value)
    assert SECRET.encode() not in pickled
    again = pickle.loads(pickled)
    assert type(again) is friendli.NotFoundError
    assert (str(again), again.status_code, again.error) == (
        str(caught.value),
        404,
        ERROR["error"],
    )
    assert again.headers["X-Request-Id"] == again.request_id == "r"
    server = serve(answer(b"{"))
    with pytest.raises(friendli.ResponseValidationError) as broken:
        Sync().call(server.url)
    assert str(pickle.loads(pickle.dumps(broken.value))) == str(broken.value)


def shown_by(error: BaseException) -> str:
    """What a traceback with locals shows of an error, its causes and our frames."""
    shown = []
    cause: BaseException | None = error
    while cause is not None:
        shown += [str(cause), repr(cause), repr(vars(cause))]
        trace = cause.__traceback__
        while trace is not None:
            if "/friendli/" in trace.tb_frame.f_code.co_filename:
                shown += [repr(value) for value in trace.tb_frame.f_locals.values()]
            trace = trace.tb_next
        cause = cause.__cause__ or cause.__context__
    return "\n".join(shown)


class TestSecrets:
    @pytest.mark.parametrize(
        "token",
        [SECRET, f"Bearer {SECRET}", f"{SECRET}\x00", f"{SECRET}\n{SECRET}", f"é{SECRET}"],
    )
    @pytest.mark.parametrize("there", [True, False])
    def test_never_in_what_is_raised(self, serve: Serve, way: Way, token: str, there: bool) -> None:
        url = serve(json_answer(ERROR, 401)).url if there else "http://127.0.0.1:9"
        options = {"retry_config": None}
        with pytest.raises(Exception) as caught:
            way.call(url, token=token, client_options=options)
        assert SECRET not in shown_by(caught.value)

    @pytest.mark.parametrize("method", ["complete", "stream"])
    @pytest.mark.parametrize("there", [True, False])
    def test_nor_are_headers(self, serve: Serve, way: Way, method: str, there: bool) -> None:
        url = serve(json_answer(ERROR, 401)).url if there else "http://127.0.0.1:9"
        options = {"retry_config": None, "http_headers": {"Cookie": SECRET}}
        with pytest.raises(friendli.FriendliError) as caught:
            way.call(url, method, http_headers={"authorization": SECRET}, client_options=options)
        assert SECRET not in shown_by(caught.value)

    def test_never_in_what_a_constructor_raises(self) -> None:
        with pytest.raises(ValueError) as caught:
            SyncFriendli(SECRET, server_url="nonsense")
        assert SECRET not in shown_by(caught.value)

    def test_a_token_of_the_wrong_kind(self) -> None:
        client = SyncFriendli(lambda: 5, server_url="http://127.0.0.1:9")  # type: ignore[arg-type, return-value]
        with pytest.raises(TypeError, match="token must be a string, not int"):
            client.dedicated.chat.complete(model="e", messages=MESSAGES)

    def test_never_in_repr(self) -> None:
        client = SyncFriendli(SECRET, server_url=f"http://user:{SECRET}@127.0.0.1:9/p?q={SECRET}")
        chat = client.dedicated.chat
        for thing in (client, client.config, chat._options, client.__dict__):
            assert SECRET not in repr(thing)

    def test_never_in_a_debug_logger(self, serve: Serve, way: Way) -> None:
        lines: list[str] = []

        class Logger:
            def debug(self, message: str, *args: Any) -> None:
                lines.append(message % args)

        server = serve(answer(b"", 503, retry_after_ms="1"), json_answer(ERROR, 401))
        with pytest.raises(friendli.AuthenticationError):
            way.call(server.url, token=SECRET, client_options={"debug_logger": Logger()})
        assert [line.split()[2:4] for line in lines if " attempt " in line] == [
            ["attempt", "1,"],
            ["attempt", "2,"],
        ]
        assert any("status 503; again in 0.001 s" in line for line in lines)
        assert any("'Authorization': '***'" in line for line in lines)
        assert SECRET not in "\n".join(lines)

    def test_never_in_the_log(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        program = inspect.cleandoc(
            f"""
            from friendli import SyncFriendli
            with SyncFriendli({SECRET!r}, server_url={serve(json_answer(ERROR, 401)).url!r},
                              http_headers={{"Cookie": {SECRET!r}}}) as client:
                try:
                    client.dedicated.chat.complete(
                        model="e", messages=[{{"role": "user", "content": "private"}}])
                except Exception:
                    pass
            """
        )
        monkeypatch.setenv("FRIENDLI_LOG", "debug")
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert "friendli DEBUG POST http://127.0.0.1:" in done.stderr
        assert "answered 401" in done.stderr
        assert SECRET not in done.stderr and "private" not in done.stderr
        assert done.stdout == ""

"""The transports of direct connections, compared with those of httpx2."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

import friendli
from friendli import AsyncFriendli, SyncFriendli
from friendli._transport import http
from friendli._transport.asyncio_stream import AsyncioStream
from friendli._transport.socket_stream import SocketStream

from ..conftest import Async, Caller, Sync, ask
from ..wire import (
    MESSAGES,
    A,
    Answer,
    B,
    Peer,
    Serve,
    answer,
    chunked,
    completion,
    head,
    json_answer,
    stream_answer,
    stream_head,
    tls_server,
    words,
)

WHOLE = json.dumps(completion("é")).encode()


def cut(data: bytes, how: str) -> Answer:
    """Answer that ends the connection after some bytes."""

    def send(peer: Peer) -> None:
        peer.send(data)
        if how == "reset":
            peer.reset()

    return send


ANSWERS: dict[str, Answer] = {
    "whole": json_answer(completion()),
    "gzip": answer(gzip.compress(WHOLE), content_encoding="gzip"),
    "without a length": cut(head(200, {"content-type": "application/json"}) + WHOLE, "close"),
    "HTTP/1.0": cut(b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + WHOLE, "close"),
    "interim": head(103, {"link": "x"}) + json_answer(completion()),
    "continue": head(100) + json_answer(completion()),
    "switching": cut(head(101, {"upgrade": "x", "connection": "upgrade"}), "close"),
    "bare line feeds": json_answer(completion()).replace(b"\r\n", b"\n"),
    "folded header": head().removesuffix(b"\r\n") + b"x: a\r\n b\r\ncontent-length: 0\r\n\r\n",
    "two lengths": head(200, {"content-length": "2"}).replace(b"\r\n\r\n", b"\r\ncontent-length: 3")
    + b"\r\n\r\n{}",
    "no answer": cut(b"", "close"),
    "reset": cut(b"", "reset"),
    "cut head": cut(b"HTTP/1.1 200 OK\r\ncontent-ty", "close"),
    "reset in the head": cut(b"HTTP/1.1 200 OK\r\ncontent-ty", "reset"),
    "cut body": cut(answer(WHOLE)[:-5], "close"),
    "reset in the body": cut(answer(WHOLE)[:-5], "reset"),
    "cut chunk": cut(stream_head() + b"ff\r\nabc", "close"),
    "cut between chunks": cut(stream_head() + chunked(A), "close"),
    "invalid chunk size": cut(stream_head() + chunked(A) + b"zz\r\n", "close"),
    "chunk extension": cut(stream_head() + b"4;a=b\r\n:ok\n\r\n0\r\n\r\n", "close"),
    "not HTTP": cut(b"SSH-2.0-OpenSSH_9.2\r\n", "close"),
    "HTTP/2 preface": cut(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "close"),
    "invalid header": cut(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "close"),
    "endless head": cut(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "close"),
    "long header": cut(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000 + b"\r\n\r\n", "close"),
    "error": json_answer({"error": {"message": "m"}}, 404),
    "no content": head(204),
    "bytes after the body": json_answer(completion()) + b"more",
    "stream": stream_answer(words("a", "b")),
    "stream in one chunk": stream_answer([b"".join(words("a", "b"))]),
    "trailers": stream_head() + chunked(A + B) + b"0\r\nx-trailer: 1\r\n\r\n",
}


def outcome(caller: Caller, url: str, method: str, **arguments: Any) -> Any:
    """Result or error of a call: everything that a program sees of it."""
    arguments = {"retries": None, "timeout_ms": 20_000, **arguments}
    try:
        if method == "complete":
            return repr(caller.call(url, **arguments))
        events = caller.events(url, **arguments)
    except Exception as error:
        return [repr(type(error)), str(error).replace(url, "URL")]
    return [events.texts, repr(type(events.error)), str(events.error).replace(url, "URL")]


@pytest.fixture
def both(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs a call on both transports, and returns what the program sees."""

    def run(url: str, method: str, **arguments: Any) -> tuple[Any, Any]:
        ours = outcome(caller, url, method, **arguments)
        with monkeypatch.context() as patch:
            patch.setattr(http, "_needs_httpx2", lambda key: True)
            return ours, outcome(caller, url, method, **arguments)

    yield run


class TestAsHttpx2:
    """A program sees the same results and the same errors as with the transports of httpx2."""

    @pytest.mark.parametrize("method", ["complete", "stream"])
    @pytest.mark.parametrize("name", ANSWERS)
    def test_answers(self, serve: Serve, both: Any, name: str, method: str) -> None:
        ours, theirs = both(serve(ANSWERS[name]).url, method)
        assert ours == theirs

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1:9",
            "http://[::1]:9",
            "http://localhost:9",
            "https://127.0.0.1:9",
            "http://nowhere.invalid",
        ],
    )
    def test_connections_that_cannot_be_made(self, both: Any, url: str) -> None:
        ours, theirs = both(url, "complete")
        assert ours == theirs

    @pytest.mark.parametrize(
        "headers",
        [{"x": "a\nb"}, {"x y": "a"}, {"x": "a\x00"}, {"content-length": "1"}, {"x": " a"}],
    )
    def test_headers(self, serve: Serve, both: Any, headers: dict[str, str]) -> None:
        ours, theirs = both(serve(json_answer(completion())).url, "complete", http_headers=headers)
        assert ours == theirs

    @pytest.mark.parametrize("sent", [b"", stream_head() + chunked(A)])
    def test_read_timeout(self, serve: Serve, both: Any, sent: bytes) -> None:
        def wait(peer: Peer) -> None:
            peer.send(sent)
            peer.wait_for_disconnect()

        for events in both(serve(wait).url, "stream", timeout_ms=500):
            assert "friendli.RequestTimeoutError" in str(events) or "RequestTimeoutError" in str(
                events
            )
            assert "ReadTimeout: the server sent nothing for longer than the timeout" in str(events)


@pytest.mark.parametrize(
    "caller, kind",
    [(Sync(), SocketStream), (Async(), AsyncioStream)],
    ids=["sync", "async"],
)
def test_request_is_sent_in_one_piece(
    serve: Serve, caller: Caller, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, sent = kind.write, []

    def observed(stream: Any, data: bytes, timeout: float | None = None) -> Any:
        sent.append(data)
        return write(stream, data, timeout)

    monkeypatch.setattr(kind, "write", observed)
    caller.call(serve(json_answer(completion())).url)
    [request] = sent
    assert request.startswith(b"POST /dedicated/v1/chat/completions HTTP/1.1\r\nHost: ")
    assert b'"Hello!"' in request


def test_streamed_request_is_sent_in_pieces(serve: Serve) -> None:
    server = serve(json_answer(completion()))
    pieces = [b"x" * 50_000] * 4
    length = {"content-length": "200000"}

    async def produced() -> Any:
        for piece in pieces:
            yield piece

    async def main() -> None:
        client = http.AsyncHttpProvider(None)
        request = httpx2.Request("POST", server.url, content=produced(), headers=length)
        assert (await client.get().send(request)).status_code == 200
        await client.aclose()

    asyncio.run(main())
    client = http.SyncHttpProvider(None)
    request = httpx2.Request("POST", server.url, content=iter(pieces), headers=length)
    assert client.get().send(request).status_code == 200
    client.close()
    assert [request.body for request in server.requests] == [b"".join(pieces)] * 2


def test_answer_before_the_request_was_read(serve: Serve, caller: Caller) -> None:
    def refuse(peer: Peer) -> None:
        peer.send(json_answer({"error": {"message": "too large"}}, 413, connection="close"))

    message = {"role": "user", "content": "x" * 100_000}
    with pytest.raises(friendli.RequestTooLargeError, match="too large"):
        caller.call(serve(refuse).url, messages=[message], retries=None)


def test_busy_connections_are_waited_for(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    from friendli._transport import async_direct, direct

    def wait(peer: Peer) -> None:
        peer.send(stream_head() + chunked(A))
        peer.wait_for_disconnect()

    server = serve(wait)
    arguments: Any = {"model": "e", "messages": MESSAGES, "timeout_ms": 1000, "retries": None}
    monkeypatch.setattr(direct, "MAX_CONNECTIONS", 1)
    monkeypatch.setattr(async_direct, "MAX_CONNECTIONS", 1)
    with (
        SyncFriendli("t", server_url=server.url) as client,
        client.dedicated.chat.stream(**arguments),
        pytest.raises(httpx2.PoolTimeout, match="no connection of the pool became free in time"),
    ):
        ask(client, timeout_ms=50, retries=None)

    async def main() -> None:
        async with (
            AsyncFriendli("t", server_url=server.url) as client,
            await client.dedicated.chat.stream(**arguments),
        ):
            with pytest.raises(httpx2.PoolTimeout, match="became free in time"):
                await client.dedicated.chat.complete(**{**arguments, "timeout_ms": 50})

    asyncio.run(main())


class TestTLS:
    @pytest.fixture
    def authority(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        return authority

    @pytest.mark.parametrize("name", ["127.0.0.1", "other.example"])
    def test_results_and_errors_are_those_of_httpx2(
        self, both: Any, authority: trustme.CA, name: str
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        with tls_server(context, json_answer(completion())) as url:
            ours, theirs = both(url, "complete")
        assert ours == theirs
        assert ("CERTIFICATE_VERIFY_FAILED" in str(ours)) is (name != "127.0.0.1")


class TestUntrustedCertificate:
    """A client for a plain http URL loads certificates only when it needs them."""

    @pytest.fixture
    def tls_url(self) -> Iterator[str]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        with tls_server(context, json_answer(completion())) as url:
            yield url

    @pytest.mark.parametrize("plain", [True, False])
    def test_untrusted_certificate_is_rejected(
        self, caller: Caller, tls_url: str, plain: bool
    ) -> None:
        base = "http://127.0.0.1:9" if plain else tls_url
        with pytest.raises(friendli.ConnectFailedError, match="CERTIFICATE_VERIFY_FAILED"):
            caller.call(base, server_url=tls_url, retries=None)

    def test_redirect_to_an_untrusted_certificate_is_rejected(
        self, serve: Serve, caller: Caller, tls_url: str
    ) -> None:
        server = serve(answer(b"", 307, location=tls_url + "/"))
        with pytest.raises(friendli.ConnectFailedError, match="CERTIFICATE_VERIFY_FAILED"):
            caller.call(server.url, retries=None)

"""Reading of bodies within limits of size and time."""

from __future__ import annotations

import gzip
import importlib
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

import friendli
from friendli import SyncFriendli
from friendli._transport.chunks import BoundedBody, ReadLimit, TimedChunks
from friendli._transport.clock import CallClock

from ..conftest import Caller, ask
from ..wire import (
    MESSAGES,
    Peer,
    Serve,
    answer,
    completion,
    head,
    json_answer,
    stream_answer,
    words,
)

MIB = 1 << 20
BOMB = gzip.compress(b'{"a": "' + bytes(64 * MIB))
"""64 MiB in 64 KiB."""
BOMBS = {"gzip": BOMB, "gzip, gzip": gzip.compress(BOMB)}


def peak_of(work: Callable[[], Any]) -> int:
    """Return the peak of the memory that Python allocates for `work`, in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class TestSize:
    @pytest.mark.parametrize("where", ["client", "call"])
    def test_answer_over_max_response_bytes_raises(
        self, serve: Serve, caller: Caller, where: str
    ) -> None:
        body = json_answer(completion("x" * 1000))
        size = len(body.partition(b"\r\n\r\n")[2])
        server = serve(body)

        def run(max_bytes: int) -> Any:
            limit = {"max_response_bytes": max_bytes}
            if where == "client":
                return caller.call(server.url, client_options=limit)
            return caller.call(server.url, client_options={"max_response_bytes": 1}, **limit)

        assert run(size).choices[0].message.content == "x" * 1000
        with pytest.raises(friendli.ResponseTooLargeError) as caught:
            run(size - 1)
        assert f"`max_response_bytes` of {size - 1:,} bytes" in str(caught.value)
        assert isinstance(caught.value, friendli.ResponseValidationError)
        assert caught.value.status_code == 200 and caught.value.body == ""

    @pytest.mark.parametrize("encoding", BOMBS)
    def test_compressed_answer_is_bounded_after_decoding(
        self, serve: Serve, caller: Caller, encoding: str
    ) -> None:
        server = serve(answer(BOMBS[encoding], content_encoding=encoding))

        def work() -> None:
            with pytest.raises(friendli.ResponseTooLargeError):
                caller.call(server.url, max_response_bytes=MIB)

        assert peak_of(work) < 8 * MIB

    @pytest.mark.parametrize("stream", [False, True])
    def test_compressed_error_body_is_cut_after_decoding(
        self, serve: Serve, caller: Caller, stream: bool
    ) -> None:
        server = serve(answer(BOMB, 418, content_encoding="gzip"))

        def work() -> None:
            with pytest.raises(friendli.SDKError, match="was cut at 1,048,576 bytes") as caught:
                caller.call(server.url, "stream" if stream else "complete")
            assert caught.value.status_code == 418
            assert len(caught.value.body) == len(caught.value.raw_response.content) == MIB

        assert peak_of(work) < 16 * MIB

    def test_body_of_a_redirection_is_bounded_after_decoding(
        self, serve: Serve, caller: Caller
    ) -> None:
        target = serve(json_answer(completion()))
        server = serve(answer(BOMB, 307, content_encoding="gzip", location=target.url + "/x"))
        assert peak_of(lambda: caller.call(server.url)) < 8 * MIB
        assert len(target.requests) == 1

    def test_small_chunks_take_no_more_memory_than_their_bytes(self) -> None:
        body = BoundedBody(httpx2.Response(200), MIB, None)

        def work() -> None:
            for number in range(100_000):
                assert body.add(b"%04d" % (number % 10_000))

        assert peak_of(work) < MIB

    def test_endless_answer_ends_and_closes_the_connection(
        self, serve: Serve, caller: Caller
    ) -> None:
        def endless(peer: Peer) -> None:
            peer.send(head(200, {"content-type": "application/json"}))
            while True:
                peer.send(b" " * 65536)  # raises when the client disconnects

        server = serve(endless)
        with pytest.raises(friendli.ResponseTooLargeError):
            caller.call(server.url, max_response_bytes=MIB)
        server.join()
        assert server._threads == []

    def test_stream_as_a_whole_is_not_bounded(self, serve: Serve, caller: Caller) -> None:
        server = serve(stream_answer(words(*["x" * 100] * 50)))
        limits = {"max_response_bytes": 1, "max_event_bytes": 1000}
        assert len(caller.events(server.url, client_options=limits).texts) == 50

    def test_httpx_clients_are_bounded_too(self, serve: Serve) -> None:
        server = serve(answer(BOMB, content_encoding="gzip"))
        httpx = importlib.import_module("httpx")
        with (
            httpx.Client() as supplied,
            SyncFriendli("t", server_url=server.url, client=supplied) as client,
            pytest.raises(friendli.ResponseTooLargeError),
        ):
            ask(client, max_response_bytes=MIB)

    def test_whole_answer_is_the_content_of_the_raw_response(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        with SyncFriendli("t", server_url=server.url) as client:
            raw = client.dedicated.chat.with_raw_response.complete(model="e", messages=MESSAGES)
            response = raw.http_response
            assert response.json() == completion() and response.read() == response.content
            assert response.is_closed

    @pytest.mark.parametrize("wrong", [0, -1, 1.5, "5"])
    def test_sizes_must_be_positive_integers(self, wrong: Any) -> None:
        for name in ("max_response_bytes", "max_event_bytes"):
            with pytest.raises(ValueError, match=f"`{name}` must be a positive number of bytes"):
                SyncFriendli(**{name: wrong})
        with pytest.raises(ValueError, match="`max_response_bytes` must be"):
            SyncFriendli().with_options(max_response_bytes=wrong)


class TestTime:
    def test_stream_that_the_program_reads_slowly_does_not_stall(self) -> None:
        now = [0.0]
        clock = CallClock(None, 1.0, clock=lambda: now[0])
        for chunk in TimedChunks(iter([b": a\n\n"] * 5), object(), clock):
            assert chunk
            now[0] += 100.0

    def test_read_ends_at_the_deadline_and_the_connection_is_left_as_it_was(self) -> None:
        server_side, client_side = socket.socketpair()

        class Network:
            def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
                client_side.settimeout(timeout)
                return client_side.recv(max_bytes)

        network = Network()

        def received() -> Iterator[bytes]:
            while data := network.read(1, timeout=None):
                yield data

        response = httpx2.Response(200, extensions={"network_stream": network})
        with server_side, client_side:
            timed = TimedChunks(received(), response, CallClock(0.1, None))
            server_side.send(b"ab")
            assert (next(timed), next(timed)) == (b"a", b"b")
            with pytest.raises(TimeoutError):
                next(timed)
        assert network.__dict__ == {}

    def test_limits_of_one_connection_nest_and_end_in_any_order(self) -> None:
        timeouts: list[float | None] = []

        class Network:
            def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
                timeouts.append(timeout)
                return b""

        network = Network()
        response = httpx2.Response(200, extensions={"network_stream": network})
        outer, inner = ReadLimit(response, lambda: 5.0), ReadLimit(response, lambda: 9.0)
        with outer:
            with inner:
                network.read(1)
                network.read(1, timeout=2.0)
            network.read(1)
        network.read(1)
        outer.__enter__()
        inner.__enter__()
        outer.__exit__()
        network.read(1, 7.0)
        inner.__exit__()
        network.read(1, 8.0)
        assert timeouts == [5.0, 2.0, 5.0, None, 7.0, 8.0]

    def test_reads_of_other_threads_are_not_limited(self) -> None:
        timeouts: list[float | None] = []

        class Network:
            def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
                timeouts.append(timeout)
                return b""

        network = Network()
        with ReadLimit(httpx2.Response(200, extensions={"network_stream": network}), lambda: 1.0):
            thread = threading.Thread(target=network.read, args=(1, 600.0))
            thread.start()
            thread.join()
        assert timeouts == [600.0]

    def test_connection_is_reused_after_a_call_with_limits(self, serve: Serve) -> None:
        server = serve(stream_answer(words("a")), json_answer(completion()))
        with SyncFriendli("t", server_url=server.url, deadline=60, stall_timeout=30) as client:
            list(client.dedicated.chat.stream(model="e", messages=MESSAGES))
            ask(client)
        assert server.connections == 1

    @pytest.mark.parametrize("options", [{}, {"deadline": 60, "stall_timeout": 30}])
    def test_no_call_starts_a_thread(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
    ) -> None:
        server = serve(json_answer(completion()), stream_answer(words("a")))
        own, started = threading.get_ident(), []
        start = threading.Thread.start

        def counted(thread: threading.Thread) -> None:
            if threading.get_ident() == own:
                started.append(thread)
            start(thread)

        with SyncFriendli("t", server_url=server.url, **options) as client:
            monkeypatch.setattr(threading.Thread, "start", counted)
            ask(client)
            list(client.dedicated.chat.stream(model="e", messages=MESSAGES))
        assert started == []

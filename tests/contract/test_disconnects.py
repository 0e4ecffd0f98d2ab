"""A client that disconnects frees its sequences, whether its answer is streamed or not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.served import Placement

from .live import Live, abort, request

HOLDING: dict[str, Any] = {"n": 100, "max_tokens": 900, "min_tokens": 900, "logprobs": True}
"""Fields of a request that occupies all sequences of an engine for minutes."""


class SmallStream:
    """A small streaming request, and what has been read of its answer."""

    def __init__(self, live: Live) -> None:
        self.connection = live.send(request(stream=True, max_tokens=2, min_tokens=2))
        self._read = b""

    def read_until(self, *marks: bytes) -> bytes:
        """Reads until one of the marks has arrived; the socket's timeout bounds the wait."""
        while not any(mark in self._read for mark in marks):
            chunk = self.connection.recv(65536)
            assert chunk, self._read
            self._read += chunk
        return self._read


def _queued(live: Live, sockets: list[socket.socket]) -> SmallStream:
    """Returns a queued stream; earlier tries may be served before `HOLDING` has all sequences."""
    for _ in range(5):
        waiting = SmallStream(live)
        sockets.append(waiting.connection)
        if b"[DONE]" not in waiting.read_until(b": \n\n", b"data: [DONE]\n\n"):
            return waiting
    pytest.fail("the sequences were never all taken")


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Yields a list of connections, which are closed after the test."""
    opened: list[socket.socket] = []
    yield opened
    for connection in opened:
        connection.close()


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "complete"])
def test_a_disconnecting_client_frees_its_sequences(
    live: Live, placement: Placement, sockets: list[socket.socket], stream: bool
) -> None:
    holders = [live.send(request(stream=stream, **HOLDING)) for _ in range(placement.num_engines)]
    sockets += holders
    for holder in holders if stream else ():
        seen = b""
        while seen.count(b"data: ") <= HOLDING["n"]:
            seen += holder.recv(65536)
    waiting = _queued(live, sockets)
    for holder in holders:
        abort(holder)
    assert b'"finish_reason":"length"' in waiting.read_until(b"data: [DONE]\n\n")


def test_a_queued_client_that_disconnects_is_never_served(
    live: Live, placement: Placement, sockets: list[socket.socket]
) -> None:
    opened = [live.send(request(stream=True, **HOLDING)) for _ in range(2 * placement.num_engines)]
    sockets += opened
    for connection in opened:
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
    waiting = _queued(live, sockets)
    for connection in reversed(opened):
        abort(connection)
    assert b'"finish_reason":"length"' in waiting.read_until(b"data: [DONE]\n\n")


def test_a_disconnect_within_a_request_body_does_not_affect_other_requests(live: Live) -> None:
    connection = live.connect()
    connection.sendall(b"POST /dedicated/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n")
    connection.sendall(b'content-type: application/json\r\ncontent-length: 100\r\n\r\n{"model"')
    abort(connection)
    assert live.complete(max_tokens=1)["usage"]["completion_tokens"] == 1

"""A client that goes away frees what it held, whatever way it was being answered."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from .live import Live, abort, request

HOLDING: dict[str, Any] = {"n": 100, "max_tokens": 900, "min_tokens": 900, "logprobs": True}
"""Holds all sequences for minutes."""


class Waiting:
    """A small stream that has been posted, as far as it has been read."""

    def __init__(self, live: Live) -> None:
        self.connection = live.send(request(stream=True, max_tokens=2, min_tokens=2))
        self._read = b""

    def read_until(self, *marks: bytes) -> bytes:
        """Reads until one of the marks has come; the socket's own timeout bounds the wait."""
        while not any(mark in self._read for mark in marks):
            piece = self.connection.recv(65536)
            assert piece, self._read
            self._read += piece
        return self._read


def _blocked(live: Live, sockets: list[socket.socket]) -> Waiting:
    """A stream that finds no room. Those that overtook who takes all of it are served before."""
    for _ in range(5):
        waiting = Waiting(live)
        sockets.append(waiting.connection)
        if b"[DONE]" not in waiting.read_until(b": \n\n", b"data: [DONE]\n\n"):
            return waiting
    pytest.fail("the sequences were never all taken")


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Connections that are closed, whatever happens."""
    opened: list[socket.socket] = []
    yield opened
    for connection in opened:
        connection.close()


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_a_client_that_leaves_makes_room(
    live: Live, sockets: list[socket.socket], stream: bool
) -> None:
    holder = live.send(request(stream=stream, **HOLDING))
    sockets.append(holder)
    if stream:
        seen = b""
        while seen.count(b"data: ") <= HOLDING["n"]:
            seen += holder.recv(65536)
    waiting = _blocked(live, sockets)
    abort(holder)
    assert b'"finish_reason":"length"' in waiting.read_until(b"data: [DONE]\n\n")


def test_a_queued_client_that_leaves_is_never_served(
    live: Live, sockets: list[socket.socket]
) -> None:
    holder, queued = (live.send(request(stream=True, **HOLDING)) for _ in range(2))
    sockets += [holder, queued]
    for connection in (holder, queued):
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
    waiting = _blocked(live, sockets)
    abort(queued)
    abort(holder)
    assert b'"finish_reason":"length"' in waiting.read_until(b"data: [DONE]\n\n")


def test_a_client_that_leaves_half_way_through_its_body_harms_nobody(live: Live) -> None:
    connection = live.connect()
    connection.sendall(b"POST /dedicated/v1/chat/completions HTTP/1.1\r\nhost: a\r\n")
    connection.sendall(b'content-length: 100\r\n\r\n{"model"')
    abort(connection)
    assert live.complete(max_tokens=1)["usage"]["completion_tokens"] == 1

"""Network stream on the transports of asyncio."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import trustme

from friendli._transport import asyncio_stream
from friendli._transport.asyncio_stream import AsyncioStream


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[AsyncioStream, socket.socket]]:
    """Stream, and the blocking socket at its other end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = await AsyncioStream.connect("127.0.0.1", listener.getsockname()[1], 5)
        peer, _ = listener.accept()
        with peer:
            yield stream, peer
            await stream.aclose()
            await asyncio.sleep(0)


def run(work: Any) -> None:
    async def main() -> None:
        async with connected() as (stream, peer):
            await work(stream, peer)

    asyncio.run(main())


def test_bytes_are_sent_and_received() -> None:
    async def work(stream: AsyncioStream, peer: socket.socket) -> None:
        await stream.write(b"request", 5)
        assert peer.recv(100) == b"request"
        peer.sendall(b"response")
        assert await stream.read(3, 5) == b"res"
        assert await stream.read(100, 5) == b"ponse"
        peer.shutdown(socket.SHUT_WR)
        assert await stream.read(100, 5) == b""
        await stream.write(b"more", 5)  # the other direction is open
        assert peer.recv(100) == b"more"

    run(work)


def test_timeouts_name_their_phase() -> None:
    async def work(stream: AsyncioStream, peer: socket.socket) -> None:
        with pytest.raises(httpx2.ReadTimeout):
            await stream.read(100, 0.001)
        with pytest.raises(httpx2.WriteTimeout):
            await stream.write(bytes(50_000_000), 0.001)

    run(work)


def test_one_timer_serves_later_and_earlier_deadlines() -> None:
    async def work(stream: AsyncioStream, peer: socket.socket) -> None:
        peer.sendall(b"a")
        assert await stream.read(100, 1000) == b"a"
        with pytest.raises(httpx2.ReadTimeout):  # earlier than the timer that is set
            await stream.read(100, 0.001)
        waiting = asyncio.create_task(stream.read(100, 0.001))
        await asyncio.sleep(0)
        timer = stream._timer
        peer.sendall(b"b")
        assert await waiting == b"b"
        waiting = asyncio.create_task(stream.read(100, 1000))
        await asyncio.sleep(0)
        assert stream._timer is timer
        while stream._timer is timer:  # it fires for the first read, and is set again
            await asyncio.sleep(0)
        assert not waiting.done()
        peer.sendall(b"c")
        assert await waiting == b"c"

    run(work)


def test_cancelled_read_loses_nothing() -> None:
    async def work(stream: AsyncioStream, peer: socket.socket) -> None:
        waiting = asyncio.create_task(stream.read(100, 5))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        peer.sendall(b"late")
        assert await stream.read(100, 5) == b"late"

    run(work)


def test_reset_is_an_error_after_the_received_bytes() -> None:
    async def work(stream: AsyncioStream, peer: socket.socket) -> None:
        peer.sendall(b"before")
        while not stream._received:
            await asyncio.sleep(0)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        peer.close()
        while stream._lost is None:
            await asyncio.sleep(0)
        assert await stream.read(100, 5) == b"before"
        with pytest.raises(httpx2.ReadError, match="reset by peer"):
            await stream.read(100, 5)
        with pytest.raises(httpx2.WriteError, match="reset by peer"):
            await stream.write(b"request", 5)
        assert stream.get_extra_info("is_readable")

    run(work)


def test_unread_bytes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio_stream, "_MAX_UNREAD", 1000)

    async def work(stream: AsyncioStream, peer: socket.socket) -> None:
        data = bytes(range(256)) * 4000
        sending = asyncio.create_task(asyncio.to_thread(peer.sendall, data))
        while stream._is_receiving:
            await asyncio.sleep(0)
        assert len(stream._received) < len(data)
        received = bytearray()
        while len(received) < len(data):
            received += await stream.read(65_536, 5)
        assert received == data
        await sending

    run(work)


def test_information_about_the_connection() -> None:
    async def work(stream: AsyncioStream, peer: socket.socket) -> None:
        assert stream.get_extra_info("server_addr") == peer.getsockname()
        assert stream.get_extra_info("client_addr") == peer.getpeername()
        assert stream.get_extra_info("ssl_object") is None
        assert not stream.get_extra_info("is_readable")
        peer.close()  # the event loop has not seen it yet
        assert stream.get_extra_info("is_readable")

    run(work)


def test_failed_handshake_is_a_connect_error() -> None:
    async def work(stream: AsyncioStream, peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(httpx2.ConnectError, match="SSL"):
            await stream.start_tls(ssl.create_default_context(), "host", 5)

    run(work)


def test_handshake_has_a_timeout() -> None:
    async def work(stream: AsyncioStream, peer: socket.socket) -> None:
        with pytest.raises(httpx2.ConnectTimeout):
            await stream.start_tls(ssl.create_default_context(), "host", 0.01)

    run(work)


def test_large_request_and_response_over_tls() -> None:
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_context)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    data = bytes(range(256)) * 10_000

    def echo(peer: socket.socket) -> None:
        with server_context.wrap_socket(peer, server_side=True) as secure:
            received = bytearray()
            while len(received) < len(data):
                received += secure.recv(65536)
            secure.sendall(received)

    async def work(stream: AsyncioStream, peer: socket.socket) -> None:
        echoing = asyncio.create_task(asyncio.to_thread(echo, peer.dup()))
        secure = await stream.start_tls(context, "127.0.0.1", 5)
        assert secure.get_extra_info("ssl_object").version().startswith("TLS")
        await secure.write(data, 20)
        received = bytearray()
        while len(received) < len(data):
            received += await secure.read(65536, 20)
        assert received == data
        await echoing

    run(work)

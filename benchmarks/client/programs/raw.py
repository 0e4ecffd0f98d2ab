"""Raw sockets, the lowest bound: transfers the bytes, without parsing HTTP or JSON properly."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

from .request import BODY, FRIENDLI_PATH, TEXT

END_OF_STREAM = b"\r\n0\r\n\r\n"


class Sync:
    """Client for whole and streamed answers."""

    def __init__(self, url: str) -> None:
        address, self.request = _request(url)
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self) -> bool:
        """Requests a whole answer; returns whether it is the canned one."""
        self.socket.sendall(self.request)
        answer = b""
        while not _is_whole(answer):
            answer += self._receive()
        return TEXT.encode() in answer

    def events(self) -> Iterator[bytes]:
        """Yields the events of a streamed answer."""
        self.socket.sendall(self.request)
        rest = b""
        while not rest.endswith(END_OF_STREAM):
            *events, rest = (rest + self._receive()).split(b"\n\n")
            yield from events

    def _receive(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


class Async:
    """Client for whole and streamed answers; reuses idle connections."""

    def __init__(self, url: str) -> None:
        self.address, self.request = _request(url)
        self.free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self) -> bool:
        """Requests a whole answer; returns whether it is the canned one."""
        reader, writer = await self._connection()
        writer.write(self.request)
        head = await reader.readuntil(b"\r\n\r\n")
        answer = await reader.readexactly(_length(head))
        self.free.append((reader, writer))
        return TEXT.encode() in answer

    async def events(self) -> AsyncIterator[bytes]:
        """Yields the events of a streamed answer."""
        reader, writer = await self._connection()
        writer.write(self.request)
        rest = b""
        while not rest.endswith(END_OF_STREAM):
            *events, rest = (rest + await reader.read(65536)).split(b"\n\n")
            for event in events:
                yield event
        self.free.append((reader, writer))

    async def _connection(self) -> "tuple[asyncio.StreamReader, asyncio.StreamWriter]":
        return self.free.pop() if self.free else await asyncio.open_connection(*self.address)


def _request(url: str) -> tuple[tuple[str, int], bytes]:
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    head = (
        f"POST /{path}{FRIENDLI_PATH} HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    return (name, int(port)), head.encode() + BODY


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    return bool(end) and len(body) >= _length(head)

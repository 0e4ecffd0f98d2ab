"""Length-prefixed frames on a stream socket: 4 bytes of length (big-endian), then the payload."""

import asyncio
import socket
import struct

__all__ = ["receive", "receive_async", "send", "send_async"]

_LENGTH = struct.Struct("!I")


def send(connection: socket.socket, payload: bytes) -> None:
    """Sends a frame on a blocking socket.

    Raises:
        OSError: The other end is closed.
    """
    connection.sendall(_LENGTH.pack(len(payload)) + payload)


def receive(connection: socket.socket) -> bytes:
    """Receives a frame from a blocking socket.

    Raises:
        EOFError: The other end is closed.
    """
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    return _exactly(connection, length)


async def send_async(connection: socket.socket, payload: bytes) -> None:
    """Sends a frame on a non-blocking socket.

    Raises:
        OSError: The other end is closed.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, _LENGTH.pack(len(payload)) + payload)


async def receive_async(connection: socket.socket) -> bytes:
    """Receives a frame from a non-blocking socket.

    Raises:
        EOFError: The other end is closed.
    """
    (length,) = _LENGTH.unpack(await _exactly_async(connection, _LENGTH.size))
    return await _exactly_async(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        received = connection.recv(count - len(data))
        if not received:
            raise EOFError
        data += received
    return bytes(data)


async def _exactly_async(connection: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = bytearray()
    while len(data) < count:
        received = await loop.sock_recv(connection, count - len(data))
        if not received:
            raise EOFError
        data += received
    return bytes(data)

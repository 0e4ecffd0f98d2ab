"""Network stream of a sync connection.

It behaves as that of httpcore2, whose import takes a twentieth of the time to the first reply.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import httpx2

from friendli._transport.readable import is_readable


class SocketStream:
    """Network stream over a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    @classmethod
    def connect(cls, host: str, port: int, timeout: float | None) -> SocketStream:
        """Connect to the first address of a host that accepts.

        Raises:
            httpx2.ConnectTimeout: An address took longer than the timeout, in seconds.
            httpx2.ConnectError: The host is unknown, or no address accepts.
        """
        with _converted(httpx2.ConnectTimeout, httpx2.ConnectError):
            sock = socket.create_connection((host, port), timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(sock)

    def start_tls(self, context: ssl.SSLContext, name: str, timeout: float | None) -> SocketStream:
        """Make a handshake and return the stream over TLS.

        Raises:
            httpx2.ConnectTimeout: The handshake waited longer than the timeout, in seconds.
            httpx2.ConnectError: The handshake failed.
        """
        with _converted(httpx2.ConnectTimeout, httpx2.ConnectError):
            try:
                self._sock.settimeout(timeout)
                return SocketStream(context.wrap_socket(self._sock, server_hostname=name))
            except BaseException:
                self.close()
                raise

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return received bytes; none at the end of the connection.

        Raises:
            httpx2.ReadTimeout: Nothing was received in so many seconds.
            httpx2.ReadError: The connection failed.
        """
        with _converted(httpx2.ReadTimeout, httpx2.ReadError):
            self._sock.settimeout(timeout)
            return self._sock.recv(max_bytes)

    def write(self, data: bytes, timeout: float | None = None) -> None:
        """Send bytes.

        Raises:
            httpx2.WriteTimeout: The peer read nothing for so many seconds.
            httpx2.WriteError: The connection failed.
        """
        with _converted(httpx2.WriteTimeout, httpx2.WriteError):
            self._sock.settimeout(timeout)
            view = memoryview(data)
            while view:
                view = view[self._sock.send(view) :]

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        """Return information about the connection, as the streams of httpcore2 do."""
        match info:
            case "socket":
                return self._sock
            case "client_addr":
                return self._sock.getsockname()
            case "server_addr":
                return self._sock.getpeername()
            case "is_readable":
                return is_readable(self._sock)
            case "ssl_object" if isinstance(self._sock, ssl.SSLSocket):
                return self._sock
        return None


@contextlib.contextmanager
def _converted(timeout: type[Exception], failure: type[Exception]) -> Iterator[None]:
    """Convert errors of a socket."""
    try:
        yield
    except TimeoutError as error:
        raise timeout(str(error)) from error
    except OSError as error:
        raise failure(str(error)) from error

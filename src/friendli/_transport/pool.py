"""Connections of a transport, each for one request at a time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from ssl import SSLContext
from typing import Any, Final, TypeAlias

import h11
import httpx2

from friendli._transport.environment import verifying_context
from friendli._transport.options import IDLE_SECONDS, MAX_IDLE_CONNECTIONS

_MAX_HEAD_BYTES: Final = 100 * 1024
"""Maximum size of the head of a response, and of the head of a chunk, as in httpcore2."""

Key: TypeAlias = tuple[str, str, int | None]
"""Scheme, host and port of a server."""


class Connection:
    """Connection to a server.

    Attributes:
        key: The server.
        stream: Network stream of httpcore2.
        protocol: State of HTTP/1.1.
        idle_since: Time of the pool's clock, in seconds, at which the last request ended.
    """

    __slots__ = ("idle_since", "key", "protocol", "stream")

    def __init__(self, key: Key, stream: Any) -> None:
        self.key = key
        self.stream = stream
        self.protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
        self.idle_since = 0.0

    def receive(self, data: bytes) -> None:
        """Take received bytes; none at the end of the connection.

        Raises:
            httpx2.RemoteProtocolError: The connection ended before the response began.
        """
        if not data and self.protocol.their_state is h11.SEND_RESPONSE:
            raise httpx2.RemoteProtocolError("Server disconnected without sending a response.")
        self.protocol.receive_data(data)

    def finish(self) -> bool:
        """End a request, and return whether the connection can be used again."""
        protocol = self.protocol
        if protocol.our_state is not h11.DONE or protocol.their_state is not h11.DONE:
            return False
        protocol.start_next_cycle()
        return True


class Pool:
    """Pool of connections, which it neither opens nor closes. Thread-safe.

    The pool of httpcore2 looks at all its connections at the beginning and at the end of each
    request, and asks the system about each idle one: with 64 parallel requests, that is half of
    their CPU time. Here a request takes the connection that became idle last, and looks at no
    other.

    Args:
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._context: SSLContext | None = None
        self._busy: set[Connection] = set()
        self._idle: dict[Key, deque[Connection]] = {}
        self._num_idle = 0

    def context(self) -> SSLContext:
        """Return the TLS context, which is made for the first https connection.

        Raises:
            ConfigurationError: An environment variable about certificates is wrong.
        """
        with self._lock:
            if self._context is None:
                self._context = verifying_context()
                self._context.set_alpn_protocols(["http/1.1"])
            return self._context

    def take(self, key: Key) -> tuple[Connection | None, list[Connection]]:
        """Return the usable connection to a server that became idle last, and those to close.

        The connection is busy then; it is None if no connection to the server is usable: idle for
        at most `IDLE_SECONDS`, and not closed by the server.
        """
        closing: list[Connection] = []
        with self._lock:
            idle = self._idle.get(key)
            while idle:
                self._num_idle -= 1
                connection = idle.pop()
                is_fresh = self._clock() - connection.idle_since <= IDLE_SECONDS
                # An idle connection with something to read was closed by the server.
                if is_fresh and not connection.stream.get_extra_info("is_readable"):
                    self._busy.add(connection)
                    return connection, closing
                closing.append(connection)
        return None, closing

    def add(self, connection: Connection) -> None:
        """Add a new connection, which is busy."""
        with self._lock:
            self._busy.add(connection)

    def release(self, connection: Connection) -> list[Connection]:
        """End the request of a busy connection, and return the connections to close.

        Those are the connection, if it cannot be used again; the ones to its server that are idle
        for more than `IDLE_SECONDS`; and the ones above `MAX_IDLE_CONNECTIONS`.
        """
        with self._lock:
            if connection not in self._busy:  # the pool was cleared
                return [connection]
            self._busy.remove(connection)
            if not connection.finish():
                return [connection]
            connection.idle_since = now = self._clock()
            idle = self._idle.setdefault(connection.key, deque())
            idle.append(connection)
            self._num_idle += 1
            closing = []
            while self._num_idle > MAX_IDLE_CONNECTIONS or now - idle[0].idle_since > IDLE_SECONDS:
                closing.append(idle.popleft())
                self._num_idle -= 1
            return closing

    def clear(self) -> list[Connection]:
        """Remove and return all connections, to be closed."""
        with self._lock:
            connections = [*self._busy, *(item for idle in self._idle.values() for item in idle)]
            self._busy.clear()
            self._idle.clear()
            self._num_idle = 0
            return connections


def key_of(request: httpx2.Request) -> Key:
    """Return the server of a request.

    Raises:
        httpx2.UnsupportedProtocol: The URL is neither http nor https.
    """
    url = request.url
    if url.scheme not in ("http", "https"):
        raise httpx2.UnsupportedProtocol(
            f"Request URL has an unsupported protocol '{url.scheme}://'."
            if url.scheme
            else "Request URL is missing an 'http://' or 'https://' protocol."
        )
    return url.scheme, url.raw_host.decode("ascii"), url.port

"""Sync transport of httpx2 for direct connections; see `exchange`."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import cast

import h11
import httpx2

from friendli._transport.exchange import (
    MAX_UNSENT,
    READ_BYTES,
    as_httpx2,
    head_of,
    ignoring_write_errors,
    is_head,
    port_of,
    response_of,
    timeouts_of,
)
from friendli._transport.options import MAX_CONNECTIONS
from friendli._transport.pool import Connection, Key, Pool, key_of
from friendli._transport.socket_stream import SocketStream


class DirectTransport(httpx2.BaseTransport):
    """Sync transport; thread-safe."""

    def __init__(self) -> None:
        self._pool = Pool()
        self._slots = threading.Semaphore(MAX_CONNECTIONS)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return the response; its body is read lazily."""
        key = key_of(request)
        timeouts = timeouts_of(request)
        if not self._slots.acquire(timeout=timeouts.get("pool")):
            raise httpx2.PoolTimeout("")
        connection = None
        try:
            with as_httpx2():
                connection = self._connection(key, request)
                head = self._exchange(connection, request)
        except BaseException:
            self._release(connection)
            raise
        return response_of(head, connection, _Body(self, connection, timeouts.get("read")))

    def close(self) -> None:
        """Close the connections."""
        for connection in self._pool.clear():
            connection.stream.close()

    def _connection(self, key: Key, request: httpx2.Request) -> Connection:
        connection, closing = self._pool.take(key)
        for closed in closing:
            closed.stream.close()
        if connection is None:
            timeout = timeouts_of(request).get("connect")
            scheme, host, port = key
            context = self._pool.context() if scheme == "https" else None
            stream = SocketStream.connect(host, port or port_of(scheme), timeout)
            if context is not None:
                name = request.extensions.get("sni_hostname") or host
                stream = stream.start_tls(context, name, timeout)
            connection = Connection(key, stream)
            self._pool.add(connection)
        return connection

    def _exchange(self, connection: Connection, request: httpx2.Request) -> h11.Response:
        protocol, stream, timeouts = connection.protocol, connection.stream, timeouts_of(request)
        timeout = timeouts.get("write")
        data = protocol.send(head_of(request)) or b""
        with ignoring_write_errors():
            for chunk in cast("Iterable[bytes]", request.stream):
                data += protocol.send(h11.Data(chunk)) or b""
                if len(data) > MAX_UNSENT:
                    stream.write(data, timeout)
                    data = b""
            data += protocol.send(h11.EndOfMessage()) or b""
            if data:
                stream.write(data, timeout)
        timeout = timeouts.get("read")
        while True:
            event = protocol.next_event()
            if event is h11.NEED_DATA:
                connection.receive(stream.read(READ_BYTES, timeout))
            elif is_head(event):
                return cast("h11.Response", event)

    def _release(self, connection: Connection | None) -> None:
        self._slots.release()
        if connection is not None:
            for closed in self._pool.release(connection):
                closed.stream.close()


class _Body(httpx2.SyncByteStream):
    """Body of a sync response, in chunks as they arrive."""

    def __init__(
        self, transport: DirectTransport, connection: Connection, timeout: float | None
    ) -> None:
        self._transport = transport
        self._connection = connection
        self._timeout = timeout
        self._is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        connection, timeout = self._connection, self._timeout
        next_event, stream = connection.protocol.next_event, connection.stream
        with as_httpx2():
            while True:
                event = next_event()
                if event is h11.NEED_DATA:
                    connection.receive(stream.read(READ_BYTES, timeout))
                elif isinstance(event, h11.Data):
                    yield bytes(event.data)
                else:
                    return

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._transport._release(self._connection)

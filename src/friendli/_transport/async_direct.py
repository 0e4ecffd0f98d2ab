"""Async transport of httpx2 for direct connections; see `exchange`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any, cast

import anyio
import h11
import httpx2

from friendli._transport.asyncio_stream import AsyncioStream
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
from friendli._transport.loop import current_loop
from friendli._transport.options import MAX_CONNECTIONS
from friendli._transport.pool import Connection, Key, Pool, key_of


class AsyncDirectTransport(httpx2.AsyncBaseTransport):
    """Async transport, for one event loop of asyncio or trio."""

    def __init__(self) -> None:
        self._pool = Pool()
        self._slots = anyio.Semaphore(MAX_CONNECTIONS, fast_acquire=True)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return the response; its body is read lazily."""
        key = key_of(request)
        timeouts = timeouts_of(request)
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            await self._wait_for_slot(timeouts.get("pool"))
        connection = None
        try:
            with as_httpx2():
                connection = await self._connection(key, request)
                head = await self._exchange(connection, request)
        except BaseException:
            await self._release(connection)
            raise
        return response_of(head, connection, _AsyncBody(self, connection, timeouts.get("read")))

    async def aclose(self) -> None:
        """Close the connections."""
        await _close(self._pool.clear())

    async def _wait_for_slot(self, timeout: float | None) -> None:
        try:
            with anyio.fail_after(timeout):
                await self._slots.acquire()
        except TimeoutError as error:
            raise httpx2.PoolTimeout(str(error)) from error

    async def _connection(self, key: Key, request: httpx2.Request) -> Connection:
        connection, closing = self._pool.take(key)
        if closing:
            await _close(closing)
        if connection is None:
            timeout = timeouts_of(request).get("connect")
            scheme, host, port = key
            context = self._pool.context() if scheme == "https" else None
            stream = await _connect(host, port or port_of(scheme), timeout)
            if context is not None:
                name = request.extensions.get("sni_hostname") or host
                stream = await stream.start_tls(context, name, timeout)
            connection = Connection(key, stream)
            self._pool.add(connection)
        return connection

    async def _exchange(self, connection: Connection, request: httpx2.Request) -> h11.Response:
        protocol, stream, timeouts = connection.protocol, connection.stream, timeouts_of(request)
        timeout = timeouts.get("write")
        data = protocol.send(head_of(request)) or b""
        with ignoring_write_errors():
            async with contextlib.aclosing(_chunks(request.stream)) as chunks:
                async for chunk in chunks:
                    data += protocol.send(h11.Data(chunk)) or b""
                    if len(data) > MAX_UNSENT:
                        await stream.write(data, timeout)
                        data = b""
            data += protocol.send(h11.EndOfMessage()) or b""
            if data:
                await stream.write(data, timeout)
        timeout = timeouts.get("read")
        while True:
            event = protocol.next_event()
            if event is h11.NEED_DATA:
                connection.receive(await stream.read(READ_BYTES, timeout))
            elif is_head(event):
                return cast("h11.Response", event)

    async def _release(self, connection: Connection | None) -> None:
        self._slots.release()
        if connection is not None:
            closing = self._pool.release(connection)
            if closing:
                await _close(closing)


class _AsyncBody(httpx2.AsyncByteStream):
    """Body of an async response, in chunks as they arrive."""

    def __init__(
        self, transport: AsyncDirectTransport, connection: Connection, timeout: float | None
    ) -> None:
        self._transport = transport
        self._connection = connection
        self._timeout = timeout
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        connection, timeout = self._connection, self._timeout
        next_event, stream = connection.protocol.next_event, connection.stream
        with as_httpx2():
            while True:
                event = next_event()
                if event is h11.NEED_DATA:
                    connection.receive(await stream.read(READ_BYTES, timeout))
                elif isinstance(event, h11.Data):
                    yield bytes(event.data)
                else:
                    return

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await self._transport._release(self._connection)


async def _chunks(stream: Any) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of the body of a request; bytes need no async generator."""
    if isinstance(stream, httpx2.ByteStream):
        for chunk in stream:
            yield chunk
    else:
        async for chunk in stream:
            yield chunk


async def _close(connections: Iterable[Connection]) -> None:
    with anyio.CancelScope(shield=True):
        for connection in connections:
            await connection.stream.aclose()


async def _connect(host: str, port: int, timeout: float | None) -> Any:
    """Return the network stream of a connection."""
    if current_loop() is not None:
        return await AsyncioStream.connect(host, port, timeout)
    import httpcore2  # which has streams for trio

    return await httpcore2.TrioBackend().connect_tcp(host, port, timeout)

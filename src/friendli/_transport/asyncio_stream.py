"""Network stream of an async connection, on the transports of asyncio.

The one of httpcore2 reads through anyio, which makes and cancels a scope, and pauses and resumes
the socket, for each read.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final, cast

import httpx2

from friendli._transport.connecting import connect_first
from friendli._transport.readable import is_readable

_MAX_UNREAD: Final = 256 * 1024
"""Number of unread bytes above which a connection stops receiving."""

_UNLIMITED: Final = 1e9
"""Maximum time of a TLS handshake without a timeout, in seconds: asyncio has one by default."""


class AsyncioStream(asyncio.Protocol):
    """Network stream over a transport of asyncio, for one reader and writer at a time.

    One timer serves all reads: a read only moves its
    deadline, and the timer is set again if it fires before.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._is_receiving = True
        self._is_sent = True
        self._is_eof = False
        self._lost: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    @classmethod
    async def connect(cls, host: str, port: int, timeout: float | None) -> AsyncioStream:
        """Connect to the first address of a host that accepts.

        Raises:
            httpx2.ConnectTimeout: The connection took longer than the timeout, in seconds.
            httpx2.ConnectError: The host is unknown, or no address accepts.
        """
        try:
            async with asyncio.timeout(timeout):
                return await connect_first(cls, host, port)
        except OSError as error:
            if isinstance(error, TimeoutError) and error.errno is None:
                raise httpx2.ConnectTimeout(str(error)) from error
            raise httpx2.ConnectError(str(error)) from error

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with a connection; nothing that is sent may stay in the transport's buffer."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(0)

    def data_received(self, data: bytes) -> None:
        """Keep received bytes for the next read."""
        self._received += data
        if len(self._received) > _MAX_UNREAD and self._is_receiving:
            self._is_receiving = False
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Note that nothing more will be received; return whether the connection stays open.

        It does, so that the rest of a request can be sent, but not over TLS.
        """
        self._is_eof = True
        self._wake()
        return self._transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the reads after the bytes that were received before, and all writes."""
        self._lost = exc or ConnectionAbortedError()
        self._stop_timer()
        self._wake()

    def pause_writing(self) -> None:
        """Note that bytes are in the transport's buffer."""
        self._is_sent = False

    def resume_writing(self) -> None:
        """Note that all bytes are sent."""
        self._is_sent = True
        self._wake()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return received bytes; none at the end of the connection.

        Raises:
            httpx2.ReadTimeout: Nothing was received in time.
            httpx2.ReadError: The connection is lost.
        """
        received = self._received
        while not received and not self._is_eof and self._lost is None:
            try:
                await self._wait(timeout)
            except TimeoutError as error:
                raise httpx2.ReadTimeout(str(error)) from error
        if received:
            data = bytes(received[:max_bytes])
            del received[:max_bytes]
            if not self._is_receiving and not received:
                self._is_receiving = True
                self._transport.resume_reading()
            return data
        if self._lost is not None and not self._is_eof:
            raise httpx2.ReadError(str(self._lost)) from self._lost
        return b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes, and wait until the system has taken them.

        Raises:
            httpx2.WriteTimeout: The peer did not read the bytes in time.
            httpx2.WriteError: The connection is lost.
        """
        if self._lost is None:
            self._transport.write(buffer)
        if not self._is_sent:
            end = None if timeout is None else self._loop.time() + timeout
            while not self._is_sent and self._lost is None:  # received bytes end a wait too
                remaining = None if end is None else end - self._loop.time()
                try:
                    await self._wait(remaining)
                except TimeoutError as error:
                    raise httpx2.WriteTimeout(str(error)) from error
        if self._lost is not None:
            raise httpx2.WriteError(str(self._lost)) from self._lost

    async def aclose(self) -> None:
        """Close the connection at once; what is not sent is dropped."""
        self._stop_timer()
        self._transport.abort()

    async def start_tls(
        self, context: ssl.SSLContext, name: str, timeout: float | None
    ) -> AsyncioStream:
        """Make a handshake and return this stream.

        Raises:
            httpx2.ConnectTimeout: The handshake took longer than the timeout, in seconds.
            httpx2.ConnectError: The handshake failed.
        """
        try:
            async with asyncio.timeout(timeout):
                transport = await self._loop.start_tls(
                    self._transport,
                    self,
                    context,
                    server_hostname=name,
                    ssl_handshake_timeout=_UNLIMITED,
                )
        except BaseException as error:
            await self.aclose()
            if isinstance(error, TimeoutError) and error.errno is None:
                raise httpx2.ConnectTimeout(str(error)) from error
            if isinstance(error, OSError):
                raise httpx2.ConnectError(str(error)) from error
            raise
        assert transport is not None
        self.connection_made(transport)
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return information about the connection, as the streams of httpcore2 do."""
        if info == "is_readable":
            return (
                bool(self._received)
                or self._is_eof
                or self._lost is not None
                or is_readable(self._transport.get_extra_info("socket"))
            )
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))

    def _wait(self, timeout: float | None) -> asyncio.Future[None]:
        """Return a future that is done when anything happens to the connection.

        It has a TimeoutError if nothing happens for so many seconds.
        """
        self._waiter = waiter = self._loop.create_future()
        if timeout is None:
            self._deadline = None
        else:
            self._deadline = deadline = self._loop.time() + timeout
            if self._timer is None or self._timer_at > deadline:
                self._set_timer(deadline)
        return waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._on_timer)
        self._timer_at = when

    def _on_timer(self) -> None:
        self._timer = None
        waiter = self._waiter
        if self._deadline is None or waiter is None or waiter.done():
            return
        if self._deadline > self._timer_at:
            self._set_timer(self._deadline)
        else:
            self._waiter = None
            waiter.set_exception(TimeoutError())

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

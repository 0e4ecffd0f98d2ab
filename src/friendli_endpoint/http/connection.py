"""One TCP connection under uvicorn: how slow its client may be, and what it hears of bad bytes."""

import asyncio
import json
import logging
import uuid

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from friendli_endpoint.http.errors import error_body

__all__ = ["Connection", "connection_type"]

log = logging.getLogger("friendli_endpoint.http")


MOST_HEAD_BYTES = 65536
"""Bytes of headers after which no more are waited for."""


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with the bounds and the form of errors that it lacks.

    Attributes:
        receive_seconds: How long a new connection may say nothing, and how long the headers of a
            request may take.
        stall_seconds: How long the client may leave an answer unread; the transport's buffer for
            writing is full all that time, and what fills it cannot go on.
    """

    receive_seconds: float
    stall_seconds: float

    _begun = False
    _head_bytes = 0
    _awaited: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a request."""
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops all waiting."""
        self._await_nothing()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes bytes, as long as they do not make endless headers."""
        awaited = self._awaited
        super().data_received(data)
        in_head = awaited is not None and awaited is self._awaited
        self._head_bytes = self._head_bytes + len(data) if in_head else 0
        if self._head_bytes > MOST_HEAD_BYTES:
            message = f"the headers must be at most {MOST_HEAD_BYTES:,} bytes"
            self._refuse(431, message, "headers_too_large")

    def on_message_begin(self) -> None:
        """Gives the headers of a request their time."""
        super().on_message_begin()
        self._begun = True
        self._await_headers()

    def on_headers_complete(self) -> None:
        """Starts the request."""
        self._await_nothing()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Waits for the client to read on."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self.stall_seconds, self._drop)

    def resume_writing(self) -> None:
        """The client has read enough."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def send_400_response(self, msg: str) -> None:
        """Answers bytes that are no HTTP."""
        self._refuse(400, "these bytes are no HTTP/1.1 request", "invalid_http")

    def _await_headers(self) -> None:
        self._await_nothing()
        self._awaited = self.loop.call_later(self.receive_seconds, self._too_slow)

    def _await_nothing(self) -> None:
        if self._awaited is not None:
            self._awaited.cancel()
            self._awaited = None

    def _too_slow(self) -> None:
        if not self._begun:
            self.transport.close()
        elif self._answering:
            self._await_headers()
        else:
            message = f"the headers did not arrive within {self.receive_seconds:g} seconds"
            self._refuse(408, message, "headers_too_slow")

    def _drop(self) -> None:
        log.info("dropped a client that left its answer unread for %g s", self.stall_seconds)
        self.transport.abort()

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, status: int, message: str, code: str) -> None:
        """Answers for the application, unless that is in the middle of an answer; and closes."""
        if not (self._answering or self.transport.is_closing()):
            body = json.dumps(error_body(status, message, code=code)).encode()
            head = (
                "content-type: application/json\r\n"
                f"content-length: {len(body)}\r\n"
                f"x-request-id: {uuid.uuid4().hex}\r\n"
                "connection: close\r\n\r\n"
            )
            self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()


def connection_type(*, receive_seconds: float, stall_seconds: float) -> type[Connection]:
    """The protocol with these bounds, as uvicorn takes it."""
    bounds = {"receive_seconds": receive_seconds, "stall_seconds": stall_seconds}
    return type("BoundedConnection", (Connection,), bounds)

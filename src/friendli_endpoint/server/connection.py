"""One TCP connection under uvicorn: how slow and how much its client may be, and bad bytes."""

import asyncio
import json
import logging
import uuid
from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from friendli_endpoint.http.errors import error_body, error_response
from friendli_endpoint.http.limits.body_memory import BodyMemory, HeldBody
from friendli_endpoint.server.pipeline import PipelineProtocol, StopParsingError

__all__ = ["Connection", "connection_type"]

log = logging.getLogger("friendli_endpoint.http")


MAX_HEAD_BYTES = 65536
"""Bytes after which no more are waited for, unless they end the headers or are of a body."""

MAX_HEADERS = 256
"""Headers and trailers of a request: 16,000 of four bytes each, which Python objects make 2 MiB."""

SPARE_CONNECTIONS = 64
"""Connections beyond the bound that stay open for a probe, or to be told so in due form."""

_PROBES = frozenset({"/health", "/live"})
"""Paths that are answered on any connection: what looks after the endpoint must not restart it."""

_TOO_MANY = "the endpoint has as many connections as it may have"
_RETRY_SECONDS = 1


class Connection(PipelineProtocol):
    """uvicorn's protocol with the bounds and the form of errors that it lacks.

    Attributes:
        receive_seconds: How long a new connection may say nothing, and how long the headers of a
            request may take.
        stall_seconds: How long the client may leave an answer unread; the transport's buffer for
            writing is full all that time, and what fills it cannot go on.
        max_connections: How many connections are served; on more, probes only.
    """

    receive_seconds: float
    stall_seconds: float
    max_connections: int

    _begun = False
    _progressed = False
    _idle_bytes = 0
    _num_headers = 0
    _awaited: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._overload()
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops all waiting."""
        self._await_nothing()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes bytes, unless they are of endless headers, trailers or chunk extensions."""
        self._progressed = False
        super().data_received(data)
        self._idle_bytes = 0 if self._progressed else self._idle_bytes + len(data)
        if self._idle_bytes > MAX_HEAD_BYTES:
            message = f"the headers must be at most {MAX_HEAD_BYTES:,} bytes"
            self._refuse(431, message, "headers_too_large")
        if not (self._answering or self._awaited or self.timeout_keep_alive_task):
            self._await_headers()  # an empty line between requests stops uvicorn's timer

    def on_message_begin(self) -> None:
        """Gives the headers of a request their time."""
        super().on_message_begin()
        self._begun = self._progressed = True
        self._num_headers = 0
        self._await_headers()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header or trailer."""
        self._num_headers += 1
        if self._num_headers > MAX_HEADERS:
            message = f"there may be at most {MAX_HEADERS} headers"
            self._refuse(431, message, "headers_too_large")
            raise StopParsingError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Starts the request."""
        self._await_nothing()
        self._progressed = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Takes a part of a body."""
        self._progressed = True
        super().on_body(body)

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

    def _overload(self) -> None:
        """Leaves the connection to probes, or closes it where there are very many."""
        log.warning("more connections are open than are served: %d", len(self.connections))
        self.app = _only_probes(self.app)
        if len(self.connections) > self.max_connections + SPARE_CONNECTIONS:
            retry = f"retry-after: {_RETRY_SECONDS}\r\n"
            self._refuse(503, _TOO_MANY, "too_many_connections", retry)

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

    def _refuse(self, status: int, message: str, code: str, headers: str = "") -> None:
        """Answers for the application, unless that is in the middle of an answer; and closes."""
        if not (self._answering or self.transport.is_closing()):
            body = json.dumps(error_body(status, message, code=code)).encode()
            head = (
                "content-type: application/json\r\n"
                f"content-length: {len(body)}\r\n"
                f"x-request-id: {uuid.uuid4().hex}\r\n"
                f"{headers}"
                "connection: close\r\n\r\n"
            )
            self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()


def connection_type(
    *,
    receive_seconds: float,
    stall_seconds: float,
    max_connections: int,
    bodies: BodyMemory,
) -> type[Connection]:
    """The protocol with these bounds, as uvicorn takes it."""
    bounds = {
        "receive_seconds": receive_seconds,
        "stall_seconds": stall_seconds,
        "max_connections": max_connections,
        "bodies": bodies,
    }
    return type("BoundedConnection", (Connection,), bounds)


def _only_probes(app: ASGIApp) -> ASGIApp:
    """An application that serves the probes of another one, and answers 503 to the rest."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await app(scope, receive, send)
            return
        body: HeldBody = scope["state"]["body"]
        body.close()
        headers: Mapping[str, str] = {
            "retry-after": str(_RETRY_SECONDS),
            "x-request-id": uuid.uuid4().hex,
            "connection": "close",
        }
        answer = error_response(503, _TOO_MANY, code="too_many_connections", headers=headers)
        await answer(scope, receive, send)

    return serve

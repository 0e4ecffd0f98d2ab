"""One TCP connection under uvicorn: timeouts, size limits and invalid HTTP."""

import asyncio
import json
import logging
import uuid
from email.utils import formatdate

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from friendli_endpoint.http.errors import error_body
from friendli_endpoint.http.limits.body_memory import BodyMemoryBudget
from friendli_endpoint.server.pipeline import PipelineProtocol, StopParsingError
from friendli_endpoint.server.protocol import INVALID_HTTP
from friendli_endpoint.server.refusal import refusing

__all__ = ["Connection", "connection_type"]

log = logging.getLogger("friendli_endpoint.http")


MAX_HEAD_BYTES = 65536
"""Maximum size of the URL, the headers and the trailers of a request together, in bytes.

Also the maximum number of bytes received that neither complete headers nor belong to a body.
"""

SLICE_BYTES = 16384
"""Maximum number of bytes that are parsed before limits are checked: a read has up to 256 KiB."""

MAX_HEADERS = 256
"""Maximum number of headers and trailers of a request.

64 KiB could hold 16,000 of four bytes each, which take 2 MiB as Python objects.
"""

SPARE_CONNECTIONS = 64
"""Connections above the limit that stay open, for probes or to receive a 503."""

_PROBES = frozenset({"/health", "/live"})
"""Paths served on any connection, so that an orchestrator does not restart the endpoint."""

_HEADERS_TOO_LARGE = (
    f"the URL, headers and trailers of a request may have at most {MAX_HEAD_BYTES:,} bytes"
)
_TOO_MANY_HEADERS = f"a request may have at most {MAX_HEADERS} headers, including trailers"
_TOO_MANY = "the endpoint has reached its maximum number of connections; retry later"
_TOO_MANY_CODE = "too_many_connections"
_RETRY_SECONDS = 1


class Connection(PipelineProtocol):
    """The protocol with the limits and JSON errors that it lacks.

    Attributes:
        receive_seconds: Maximum time of a new connection without data, and maximum time for the
            headers of a request, in seconds.
        stall_seconds: Maximum time for which the client may leave a response unread, in seconds.
            The transport's write buffer is full for that time, and the response is paused.
        max_connections: Maximum number of connections served; further ones serve probes only.
    """

    receive_seconds: float
    stall_seconds: float
    max_connections: int

    _has_request = False
    _progressed = False
    _idle_bytes = 0
    _head_bytes = 0
    _num_headers = 0
    _has_head = False
    _header_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the timer for the first request."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._limit_to_probes()
        self._start_header_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops all timers."""
        self._stop_header_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses bytes; rejects endless headers, trailers and chunk extensions."""
        for start in range(0, len(data), SLICE_BYTES):
            if not (self.transport.is_closing() or self._discards):
                self._parse(data[start : start + SLICE_BYTES])
        if not (self._is_responding or self._header_timer or self.timeout_keep_alive_task):
            self._start_header_timer()  # an empty line between requests stops uvicorn's timer

    def _parse(self, data: bytes) -> None:
        self._progressed = False
        super().data_received(data)
        self._idle_bytes = 0 if self._progressed else self._idle_bytes + len(data)
        if self._idle_bytes > MAX_HEAD_BYTES:
            self._reject_headers(_HEADERS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Starts the timer for the headers of a request."""
        super().on_message_begin()
        self._has_request = self._progressed = True
        self._has_head = False
        self._num_headers = self._head_bytes = 0
        self._start_header_timer()

    def on_url(self, url: bytes) -> None:
        """Adds a part of the URL."""
        self._add_head_bytes(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Adds a header, or discards a trailer.

        RFC 9110, section 6.5.1, forbids to merge trailers with headers unless their definition
        allows it: a proxy that has checked the headers has not seen the trailers.
        """
        self._num_headers += 1
        if self._num_headers > MAX_HEADERS:
            self._reject_headers(_TOO_MANY_HEADERS)
            raise StopParsingError
        self._add_head_bytes(len(name) + len(value) + len(": \r\n"))
        if not self._has_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Starts the request."""
        self._stop_header_timer()
        self._has_head = self._progressed = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Adds a chunk of a body."""
        self._progressed = True
        super().on_body(body)

    def pause_writing(self) -> None:
        """Starts the timer for the client to read on, as the write buffer is full."""
        super().pause_writing()
        self._stall_timer = self.loop.call_later(self.stall_seconds, self._drop_stalled_client)

    def resume_writing(self) -> None:
        """Stops the timer, as the client has read enough."""
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def send_400_response(self, msg: str) -> None:
        """Responds to bytes that are not valid HTTP."""
        self._reject(400, "the request is not valid HTTP/1.1", INVALID_HTTP)

    def _limit_to_probes(self) -> None:
        """Serves only probes on this connection, or closes it if there are very many."""
        log.warning("more connections are open than are served: %d", len(self.connections))
        self.app = _only_probes(self.app)
        if len(self.connections) > self.max_connections + SPARE_CONNECTIONS:
            retry = f"retry-after: {_RETRY_SECONDS}\r\n"
            self._reject(503, _TOO_MANY, _TOO_MANY_CODE, retry)

    def _start_header_timer(self) -> None:
        self._stop_header_timer()
        self._header_timer = self.loop.call_later(self.receive_seconds, self._on_header_timeout)

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _on_header_timeout(self) -> None:
        if not self._has_request:
            self.transport.close()
        elif self._is_responding:
            self._start_header_timer()
        else:
            message = f"the headers did not arrive within {self.receive_seconds:g} seconds"
            self._reject(408, message, "headers_too_slow")

    def _drop_stalled_client(self) -> None:
        log.info("closed a connection whose client read nothing for %g s", self.stall_seconds)
        self.transport.abort()

    def _add_head_bytes(self, num_bytes: int) -> None:
        self._head_bytes += num_bytes
        if self._head_bytes > MAX_HEAD_BYTES:
            self._reject_headers(_HEADERS_TOO_LARGE)
            raise StopParsingError

    @property
    def _is_responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _discards(self) -> bool:
        """Whether the connection closes after the last request, which has arrived completely."""
        cycle = self.cycle
        return not (cycle is None or cycle.keep_alive or cycle.more_body)

    @property
    def _is_receiving(self) -> bool:
        """Whether the last bytes belong to the running request, whose response has not begun."""
        cycle = self.cycle
        return cycle is self._running and cycle.more_body and not cycle.response_started

    def _reject_headers(self, message: str) -> None:
        self._reject(431, message, "headers_too_large")

    def _reject(self, status: int, message: str, code: str, headers: str = "") -> None:
        """Sends an error, unless a response has begun or another one is due, and closes."""
        if self._is_responding and self._is_receiving:
            self.cycle.disconnected = True  # the application sends nothing
            self.cycle.message_event.set()
        elif self._is_responding:
            self.transport.close()
        if not self.transport.is_closing():
            body = json.dumps(error_body(status, message, code=code)).encode()
            head = (
                f"date: {formatdate(usegmt=True)}\r\n"
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
    body_memory: BodyMemoryBudget,
) -> type[Connection]:
    """Returns a subclass of `Connection` with these limits, for uvicorn's `http` option."""
    limits = {
        "receive_seconds": receive_seconds,
        "stall_seconds": stall_seconds,
        "max_connections": max_connections,
        "body_memory": body_memory,
    }
    return type("LimitedConnection", (Connection,), limits)


def _only_probes(app: ASGIApp) -> ASGIApp:
    """Wraps an application: serves its probes, and responds 503 to everything else."""
    retry = {"retry-after": str(_RETRY_SECONDS)}
    refuse = refusing(503, _TOO_MANY, _TOO_MANY_CODE, retry)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        is_served = scope["type"] != "http" or scope["path"] in _PROBES
        await (app if is_served else refuse)(scope, receive, send)

    return serve

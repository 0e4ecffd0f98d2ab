"""HTTP/1.1 and HTTP/1.0 where uvicorn's protocol differs from RFC 9110 and RFC 9112."""

from typing import Any

import httptools
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from friendli_endpoint.server.refusal import refusing
from friendli_endpoint.server.request_head import (
    Problem,
    RequestHead,
    Target,
    check_head,
    keeps_alive,
)

__all__ = ["INVALID_HTTP", "HTTPProtocol"]

INVALID_HTTP = "invalid_http"
"""Code of the errors of invalid requests."""

_LENIENCIES = {
    "lenient_data_after_close": True,  # bytes behind the last request do not spoil its response
    "lenient_spaces_after_chunk_size": True,  # RFC 9112, section 7.1.1, wants them read
}


class _Callbacks:
    """A parser's callbacks: those of the protocol, except at the end of a head with an offer.

    Args:
        protocol: The protocol.
    """

    def __init__(self, protocol: "HTTPProtocol") -> None:
        self._protocol = protocol
        self.on_message_begin = protocol.on_message_begin
        self.on_url = protocol.on_url
        self.on_header = protocol.on_header
        self.on_body = protocol.on_body

    def on_headers_complete(self) -> None:
        if not self._protocol.has_offer:
            self._protocol.on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._protocol.has_offer:
            self._protocol.on_message_complete()


class HTTPProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with rules of HTTP that it lacks.

    - An offer of another protocol (`Upgrade`) is ignored; the request is served as HTTP/1.1.
    - Invalid requests that the parser accepts are rejected, see `check_head`.
    - An absolute target replaces the `Host` header.
    - HTTP/1.0 clients get no chunks, no 100, and a persistent connection only if they ask for one.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._start_parser()

    @property
    def has_offer(self) -> bool:
        """Whether the current request offers to continue in another protocol."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def data_received(self, data: bytes) -> None:
        """Parses bytes."""
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response("")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Adds a header, without the white space after its value, which the parser leaves."""
        super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """Starts the request, or queues it behind earlier ones."""
        head, app = self._head, self.app
        checked, plain = check_head(head), _WithoutChunks(app)
        if isinstance(checked, Problem):
            self.app = refusing(checked.status, checked.message, INVALID_HTTP, {})
            self.url = b"/"
        else:
            self._set_target(checked)
            self.app = plain if head.version == "1.0" else app
        self.expect_100_continue &= head.version != "1.0"
        try:
            super().on_headers_complete()
        finally:
            self.app = app
        plain.cycle = self.cycle
        self.cycle.keep_alive = isinstance(checked, Target) and keeps_alive(head)

    def _set_target(self, target: Target) -> None:
        self.url = target.url
        if target.host is not None:
            others = [header for header in self.headers if header[0] != b"host"]
            self.headers[:] = [(b"host", target.host), *others]

    def _start_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(_Callbacks(self))
        self.parser.set_dangerous_leniencies(**_LENIENCIES)

    def _feed(self, data: bytes) -> None:
        """Parses bytes; parses the head of a request with an offer again, without the offer.

        The parser stops behind such a head, as it takes the body for the other protocol's. RFC
        9110, section 7.8, allows servers to ignore the offer.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            else:
                return
            if not self.has_offer:
                return  # CONNECT, which is rejected
            head = self._head
            self._start_parser()
            self.parser.feed_data(_without_offer(head))

    @property
    def _head(self) -> RequestHead:
        parser = self.parser
        return RequestHead(parser.get_method(), parser.get_http_version(), self.url, self.headers)


def _without_offer(head: RequestHead) -> bytes:
    """Returns the bytes of a head without its `Upgrade` headers."""
    lines = [b"%b %b HTTP/%b" % (head.method, head.target, head.version.encode())]
    lines += [b"%b: %b" % header for header in head.headers if header[0] != b"upgrade"]
    return b"\r\n".join([*lines, b"", b""])


class _WithoutChunks:
    """An application for one request of an HTTP/1.0 client, to whom uvicorn would send chunks.

    A response of unknown length ends with the connection. One of known length leaves it open if the
    client has asked for that.

    Args:
        app: The application.

    Attributes:
        cycle: uvicorn's state of the request; set before the application is called.
    """

    cycle: RequestResponseCycle

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves the request."""
        cycle, has_length = self.cycle, True

        async def send_plainly(message: Message) -> None:
            nonlocal has_length
            if message["type"] == "http.response.start":
                has_length = "content-length" in Headers(raw=message.get("headers", []))
                if not has_length:
                    cycle.chunked_encoding = cycle.keep_alive = False
                elif cycle.keep_alive:
                    MutableHeaders(scope=message).setdefault("connection", "keep-alive")
            elif not has_length:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, send_plainly)

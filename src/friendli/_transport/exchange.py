"""Parts that the sync and the async transport of direct connections share.

These transports of httpx2 take less CPU time than its own.

Requests, responses and errors are those of httpx2, HTTP is that of h11, as in httpcore2. What
differs:

- A request is sent in one piece. httpcore2 writes its head and its body in two calls, and a system
  call is a good part of what a request costs.
- A request looks at one connection only (`pool`).
- There is nothing between an async connection and asyncio (`asyncio_stream`).
- Certificates are loaded for the first https connection, which takes some 80 ms.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import h11
import httpx2

from friendli._transport.pool import Connection

READ_BYTES: Final = 64 * 1024

MAX_UNSENT: Final = 64 * 1024
"""Size above which the beginning of a streamed request is sent before its end is known."""

_OF_H11: Final = (h11.RemoteProtocolError, h11.LocalProtocolError)


def head_of(request: httpx2.Request) -> h11.Request:
    """Return the head of a request.

    Raises:
        h11.LocalProtocolError: The method, the URL or a header is not valid HTTP.
    """
    return h11.Request(
        method=request.method,
        target=request.extensions.get("target", request.url.raw_path),
        headers=request.headers.raw,
    )


def is_head(event: Any) -> bool:
    """Return whether an event is the head of the response; interim responses precede it."""
    return isinstance(event, h11.Response) or (
        isinstance(event, h11.InformationalResponse) and event.status_code == 101
    )


def response_of(head: Any, connection: Connection, body: Any) -> httpx2.Response:
    """Return the response of a connection, with a stream as its body."""
    return httpx2.Response(
        head.status_code,
        headers=head.headers.raw_items(),
        stream=body,
        extensions={
            "http_version": b"HTTP/" + head.http_version,
            "reason_phrase": head.reason,
            "network_stream": connection.stream,
        },
    )


def timeouts_of(request: httpx2.Request) -> dict[str, float | None]:
    """Return the seconds that each phase of a request may take; None: unlimited."""
    timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
    return timeouts


def port_of(scheme: str) -> int:
    """Return the port of URLs without one."""
    return 443 if scheme == "https" else 80


@contextlib.contextmanager
def ignoring_write_errors() -> Iterator[None]:
    """Ignore that a request could not be sent: the server may have sent an answer before."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "WriteError":  # of httpx2, or of httpcore2 in trio
            raise


@contextlib.contextmanager
def as_httpx2() -> Iterator[None]:
    """Convert errors of h11 and httpcore2 to those of httpx2, which have the same names."""
    try:
        yield
    except Exception as error:
        for cls in type(error).__mro__:
            if cls.__module__ == "httpcore2" or cls in _OF_H11:
                raise getattr(httpx2, cls.__name__)(str(error)) from error
        raise

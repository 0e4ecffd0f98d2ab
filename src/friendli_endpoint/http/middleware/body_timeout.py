"""Receiving request bodies: within a time limit, a size limit and the memory for all bodies."""

import asyncio
import math
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.content_coding import body_too_large_error, decoder_of
from friendli_endpoint.http.limits.body_memory import (
    BodyMemoryBudget,
    BufferedBody,
    body_memory_full_error,
    no_body_error,
)

__all__ = ["BodyTimeoutMiddleware", "read_body"]

MAX_IGNORED_BYTES = 64 * 1024
"""Size of an unread body in bytes up to which the connection is kept.

Discarding that much is cheaper than opening a new connection.
"""


_JSON = re.compile(
    r"application/([!#$&^.+\w-]+\+)?json\s*(;\s*(charset\s*=\s*\"?utf-?8\"?\s*)?)?",
    re.ASCII | re.IGNORECASE,
)
"""A content type of JSON; its charset may only be the one that JSON has."""


class BodyTimeoutMiddleware:
    """ASGI middleware that limits the time for a body, and closes the connection on an unread one.

    It sets the request state's `body`, which `read_body` reads, unless the server has set it to
    reserve the memory itself as bytes arrive.

    Args:
        app: The application; `receive` raises a 408 or 503 `RequestError` in it.
        seconds: Maximum time for the whole body in seconds.
        memory: Budget of the bytes of all bodies.
    """

    def __init__(self, app: ASGIApp, seconds: float, memory: BodyMemoryBudget) -> None:
        self._app = app
        self._seconds = seconds
        self._memory = memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self._seconds
        read = _may_ignore_body(Headers(scope=scope))
        arrived = False
        state = scope.setdefault("state", {})
        is_reserved = "body" in state
        body: BufferedBody = state.setdefault("body", BufferedBody(self._memory))

        async def receive_in_time() -> Message:
            nonlocal arrived, read
            if arrived:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                read = False
                raise RequestError(
                    f"the body did not arrive within {self._seconds:g} seconds",
                    status=408,
                    code="body_too_slow",
                ) from None
            if not is_reserved:
                body.reserve(len(message.get("body", b"")))
            if body.is_rejected:
                read = False
                raise body_memory_full_error()
            read = arrived = not message.get("more_body", False)
            return message

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and not read:
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        try:
            await self._app(scope, receive_in_time, send_and_close)
        finally:
            body.close()


async def read_body(request: Request, max_bytes: int) -> BufferedBody:
    """Reads the body of a request; a content coding is decoded when the body is parsed.

    Args:
        request: The request, behind `BodyTimeoutMiddleware`.
        max_bytes: Maximum size of the body in bytes, before and after its decoding.

    Raises:
        RequestError: 415 if its content type is not JSON or its content coding is not supported,
            413 as soon as the body is known to be larger, 400 if it is empty, 408 if it does not
            arrive in time, 503 if there is no memory for it.
    """
    _check_content_type(request.headers)
    decode = decoder_of(request.headers.getlist("content-encoding"), max_bytes)
    too_large = body_too_large_error(max_bytes)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(max_bytes)) or int(declared) > max_bytes):
        raise too_large
    body: BufferedBody = request.state.body
    content = bytearray()
    async for chunk in request.stream():
        if len(content) + len(chunk) > max_bytes:
            raise too_large
        content += chunk
    if not content:
        raise no_body_error()
    body.set_content(bytes(content), decode)
    return body


def _check_content_type(headers: Headers) -> None:
    """Rejects every type that a page of another origin may send without asking, and no type too."""
    sent = headers.getlist("content-type")
    if len(sent) != 1 or not _JSON.fullmatch(sent[0]):
        raise RequestError(
            f"content-type: must be application/json, got {', '.join(sent) or 'no such header'}",
            param="content-type",
            status=415,
            code="wrong_content_type",
        )


def _may_ignore_body(headers: Headers) -> bool:
    """Whether the connection can be kept after a response although the body was not read.

    A client that expects a 100 and gets an error may send its next request where the body would be.
    """
    declared = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not declared.isdecimal():
        return False
    num_bytes = int(declared) if len(declared) <= len(str(MAX_IGNORED_BYTES)) else math.inf
    max_bytes = 0 if "100-continue" in headers.get("expect", "").lower() else MAX_IGNORED_BYTES
    return num_bytes <= max_bytes

"""How bodies come in: not for ever, and not further than they are wanted or there is memory."""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.limits.body_memory import BodyMemory, HeldBody, memory_full

__all__ = ["BodyTimeoutMiddleware", "read_body"]

MOST_IGNORED = 64 * 1024
"""Bytes of an unwanted body that are cheaper to throw away than a new connection is to make."""


class BodyTimeoutMiddleware:
    """ASGI middleware: bounds the time that a body takes, and closes on one that is not read.

    The request's state has its `body`, to be read by `read_body`; a server that counts what arrives
    has written it there.

    Args:
        app: The application; `receive` raises a 408 or 503 `RequestError` in it.
        seconds: How long the whole body of a request may take.
        memory: What is held of all bodies together.
    """

    def __init__(self, app: ASGIApp, seconds: float, memory: BodyMemory) -> None:
        self._app = app
        self._seconds = seconds
        self._memory = memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self._seconds
        read = not _has_large_body(Headers(scope=scope))
        arrived = False
        state = scope.setdefault("state", {})
        is_counted = "body" in state
        body: HeldBody = state.setdefault("body", HeldBody(self._memory))

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
            if not is_counted:
                body.count(len(message.get("body", b"")))
            if body.is_refused:
                read = False
                raise memory_full()
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


async def read_body(request: Request, max_bytes: int) -> HeldBody:
    """The body, as far as it is allowed to go.

    Args:
        request: The request.
        max_bytes: Bytes that it may have.

    Raises:
        RequestError: 413 as soon as it is known to be larger, 400 where there is none, 503 where
        there
            is no memory for it.
    """
    too_large = RequestError(
        f"the body must be at most {max_bytes:,} bytes", status=413, code="body_too_large"
    )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(max_bytes)) or int(declared) > max_bytes):
        raise too_large
    held: HeldBody = request.state.body
    content = bytearray()
    async for chunk in request.stream():
        if len(content) + len(chunk) > max_bytes:
            raise too_large
        content += chunk
    if not content:
        raise RequestError(
            "the request has no body: a JSON object is expected", code="invalid_json"
        )
    held.fill(bytes(content))
    return held


def _has_large_body(headers: Headers) -> bool:
    declared = headers.get("content-length", "0")
    short = declared.isdecimal() and len(declared) <= len(str(MOST_IGNORED))
    return "transfer-encoding" in headers or not short or int(declared) > MOST_IGNORED

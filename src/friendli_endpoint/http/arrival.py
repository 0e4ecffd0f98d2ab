"""How bodies come in: not for ever, and not further than they are wanted."""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from friendli_endpoint.generation import Refusal

__all__ = ["Arrival"]

MOST_IGNORED = 64 * 1024
"""Bytes of an unwanted body that are cheaper to throw away than a new connection is to make."""


class Arrival:
    """ASGI middleware: bounds the time that a body takes, and closes on one that is not read.

    Args:
        app: The application; `receive` raises a 408 `Refusal` in it.
        seconds: How long the whole body of a request may take.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self._seconds
        read = not _has_large_body(Headers(scope=scope))
        arrived = False

        async def receive_in_time() -> Message:
            nonlocal arrived, read
            if arrived:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                read = False
                raise Refusal(
                    f"the body did not arrive within {self._seconds:g} seconds",
                    status=408,
                    code="body_too_slow",
                ) from None
            read = arrived = not message.get("more_body", False)
            return message

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and not read:
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self._app(scope, receive_in_time, send_and_close)


def _has_large_body(headers: Headers) -> bool:
    declared = headers.get("content-length", "0")
    short = declared.isdecimal() and len(declared) <= len(str(MOST_IGNORED))
    return "transfer-encoding" in headers or not short or int(declared) > MOST_IGNORED

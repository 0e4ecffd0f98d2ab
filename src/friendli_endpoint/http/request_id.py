"""Gives every answer an `x-request-id`, the client's own if it sent one, and logs a line each."""

import logging
import re
import time
import uuid
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from friendli_endpoint.http.errors import error_response

__all__ = ["RequestIds"]

log = logging.getLogger("friendli_endpoint.http")

_ALLOWED = re.compile(r"[\x21-\x7e]{1,128}")


class RequestIds:
    """ASGI middleware; the outermost, so that what fails inside is answered and logged here.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get("x-request-id", "")
        request_id = sent if _ALLOWED.fullmatch(sent) else uuid.uuid4().hex
        status = 0
        begun = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            log.exception("request %s failed", request_id)
            if status:
                raise
            response = error_response(500, "the endpoint failed; it has logged why")
            await response(scope, receive, send_with_id)
        finally:
            log.info(
                "%s %s %s %.3f s %s",
                scope["method"],
                quote(scope["path"]),  # or a path could write lines of its own
                status,
                time.perf_counter() - begun,
                request_id,
            )

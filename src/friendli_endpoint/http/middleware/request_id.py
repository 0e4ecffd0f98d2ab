"""Request ids, and the telemetry of every request."""

import asyncio
import logging
import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from friendli_endpoint.generation import draining_error
from friendli_endpoint.http.errors import error_response, reject
from friendli_endpoint.telemetry import Telemetry

__all__ = ["RequestIdMiddleware"]

log = logging.getLogger("friendli_endpoint.http")

_ALLOWED = re.compile(r"[\x21-\x7e]{1,128}")


class RequestIdMiddleware:
    """ASGI middleware that sets `x-request-id` on every response, to the client's own if valid.

    It also forbids caches to store a response, as some store a 404 or a readiness of long ago.

    It is the outermost middleware, so it also logs unhandled exceptions and responds with an error
    500. It sets the request state's `record`, which all later parts write to.

    Args:
        app: The application.
        telemetry: Receives every request.
        completions: Path of the chat completions.
    """

    def __init__(self, app: ASGIApp, telemetry: Telemetry, completions: str) -> None:
        self._app = app
        self._telemetry = telemetry
        self._completions = completions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        sent = headers.get("x-request-id", "")
        request_id = sent if _ALLOWED.fullmatch(sent) else uuid.uuid4().hex
        status = 0
        record = self._telemetry.begin(
            scope["method"], scope["path"], request_id, headers, self._completions
        )
        scope.setdefault("state", {})["record"] = record

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                response_headers = MutableHeaders(scope=message)
                response_headers["x-request-id"] = request_id
                response_headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            pass  # before its request was complete
        except asyncio.CancelledError:
            # The server is shutting down and has waited long enough. If the error were raised
            # again, the server would log it with a traceback.
            if not status:
                await reject(draining_error(), scope, receive, send_with_id)
        except Exception:
            log.exception("request %s failed", request_id)
            if status:
                raise
            response = error_response(500, "internal error; see the endpoint's log")
            await response(scope, receive, send_with_id)
        finally:
            self._telemetry.end(record, status)

"""An answer for connections beyond the bound: probes are served, others are told to retry."""

import uuid
from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from friendli_endpoint.http.errors import error_response
from friendli_endpoint.http.held import HeldBody

__all__ = ["MESSAGE", "PROBES", "RETRY_SECONDS", "only_probes"]

PROBES = frozenset({"/health", "/live"})
"""Paths that are answered on any connection: what looks after the endpoint must not restart it."""

MESSAGE = "the endpoint has as many connections as it may have"
RETRY_SECONDS = 1


def only_probes(app: ASGIApp) -> ASGIApp:
    """An application that serves the probes of another one, and answers 503 to the rest."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await app(scope, receive, send)
            return
        body: HeldBody = scope["state"]["body"]
        body.close()
        headers: Mapping[str, str] = {
            "retry-after": str(RETRY_SECONDS),
            "x-request-id": uuid.uuid4().hex,
            "connection": "close",
        }
        answer = error_response(503, MESSAGE, code="too_many_connections", headers=headers)
        await answer(scope, receive, send)

    return serve

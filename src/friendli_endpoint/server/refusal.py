"""Responses to requests that the server rejects before the application sees them."""

import uuid
from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from friendli_endpoint.http.errors import error_response
from friendli_endpoint.http.limits.body_memory import BufferedBody

__all__ = ["refusing"]


def refusing(status: int, message: str, code: str, headers: Mapping[str, str]) -> ASGIApp:
    """Returns an application that responds with an error and closes the connection.

    Args:
        status: Status of the response.
        message: A sentence for the client.
        code: A short machine-readable word.
        headers: Further headers of the response.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        body: BufferedBody = scope["state"]["body"]
        body.close()
        closing = {**headers, "x-request-id": uuid.uuid4().hex, "connection": "close"}
        response = error_response(status, message, code=code, headers=closing)
        await response(scope, receive, send)

    return serve

"""The JSON of every error: `{"error": {"message", "type", "param", "code"}}`."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.content_coding import ACCEPTED, UNSUPPORTED

__all__ = ["error_body", "error_response", "reject", "request_error_response"]

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}

_HEADERS: Mapping[str, Mapping[str, str]] = {UNSUPPORTED: {"accept-encoding": ACCEPTED}}
"""Headers of errors with these codes; RFC 9110, section 15.5.16, wants this one."""


def error_body(
    status: int, message: str, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """Returns the JSON of an error.

    A message is truncated to 1,000 characters and a `param` to 200, as both may quote the request.
    """
    message, param = _truncate(message, 1000), param and _truncate(param, 200)
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _truncate(text: str, max_length: int) -> str:
    return text if len(text) <= max_length else f"{text[:max_length]}\N{HORIZONTAL ELLIPSIS}"


def error_response(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Returns an error as a response."""
    return JSONResponse(error_body(status, message, param, code), status, headers)


def request_error_response(error: RequestError) -> JSONResponse:
    """Returns a `RequestError` as a response, with the headers that belong to it."""
    headers = dict(_HEADERS.get(error.code or "", {}))
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    return error_response(
        error.status, error.message, param=error.param, code=error.code, headers=headers
    )


async def reject(error: RequestError, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends a `RequestError` as the response of a middleware, and records it."""
    scope["state"]["record"].end_with_error(error)
    await request_error_response(error)(scope, receive, send)

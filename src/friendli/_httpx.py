"""Responses for programs that know httpx, the HTTP library of the published client."""

from __future__ import annotations

import contextlib
import sys
from typing import Any


def as_httpx(response: Any) -> Any:
    """Return a response as one of httpx, if the program has imported httpx.

    httpx is never imported here. A response that is not one of httpx2 is returned unchanged. One
    whose body has not been read, that of a stream, becomes one that is closed and has no content.

    Args:
        response: Response of an HTTP client, or None.
    """
    httpx = sys.modules.get("httpx")
    httpx2 = sys.modules.get("httpx2")
    if httpx is None or httpx2 is None or not isinstance(response, httpx2.Response):
        return response
    if isinstance(response, httpx.Response):
        return response
    converted = httpx.Response(
        response.status_code,
        # The content is decoded already.
        headers=[item for item in response.headers.raw if item[0].lower() != b"content-encoding"],
        request=_request(httpx, response),
        extensions=response.extensions,
        history=[as_httpx(earlier) for earlier in response.history],
    )
    try:
        converted._content = response.content
    except httpx2.ResponseNotRead:
        del converted._content
    with contextlib.suppress(RuntimeError):  # it was not closed yet
        converted.elapsed = response.elapsed
    converted.is_closed = converted.is_stream_consumed = True
    return converted


def _request(httpx: Any, response: Any) -> Any:
    try:
        request = response.request
    except RuntimeError:  # none was set
        return None
    try:
        content = request.content
    except RuntimeError:  # a hook's request, whose body is a stream
        content = None
    return httpx.Request(
        request.method, str(request.url), headers=request.headers.raw, content=content
    )

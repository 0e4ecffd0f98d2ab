"""Lets in who shows a token; everything else about a request is somebody else's."""

from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from friendli_endpoint.http.errors import error_response
from friendli_endpoint.http.middleware.tokens import Tokens, find

__all__ = ["AuthMiddleware"]


class AuthMiddleware:
    """ASGI middleware; writes into the request's state who the `caller` is, as a digest.

    Args:
        app: The application.
        tokens: Gives those that are valid now.
        open_paths: Paths that need none.
    """

    def __init__(
        self, app: ASGIApp, tokens: Callable[[], Tokens], open_paths: Collection[str]
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or answers 401."""
        if scope["type"] == "http" and scope["path"] not in self._open_paths:
            caller = find(self._tokens(), _bearer(Headers(scope=scope)))
            if caller is None:
                await _UNAUTHORIZED(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


_UNAUTHORIZED = error_response(
    401,
    "this endpoint takes requests with a valid token only, as `Authorization: Bearer TOKEN`",
    code="unauthorized",
    headers={"www-authenticate": "Bearer"},
)
"""One answer to every fault, so that it does not tell which part was wrong."""


def _bearer(headers: Headers) -> bytes:
    """The token that a request shows; empty, which is none, unless it shows exactly one."""
    shown = headers.getlist("authorization")
    scheme, _, token = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
    return token.strip().encode("latin-1") if scheme.lower() == "bearer" else b""

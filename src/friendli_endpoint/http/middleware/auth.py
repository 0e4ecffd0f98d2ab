"""Authentication by bearer token."""

from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from friendli_endpoint.http.errors import error_response
from friendli_endpoint.http.middleware.tokens import TokenDigests, find_token

__all__ = ["UNAUTHORIZED", "AuthMiddleware", "bearer_token"]


class AuthMiddleware:
    """ASGI middleware that requires a valid bearer token.

    It sets the request state's `caller` to the digest of the token.

    Args:
        app: The application.
        tokens: Returns the digests of the tokens that are valid now.
        open_paths: Paths that need no token.
    """

    def __init__(
        self, app: ASGIApp, tokens: Callable[[], TokenDigests], open_paths: Collection[str]
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or responds with 401."""
        if scope["type"] == "http" and scope["path"] not in self._open_paths:
            caller = find_token(self._tokens(), bearer_token(Headers(scope=scope)))
            if caller is None:
                await UNAUTHORIZED(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


UNAUTHORIZED = error_response(
    401,
    "a valid token is required, as `Authorization: Bearer TOKEN`",
    code="unauthorized",
    headers={"www-authenticate": "Bearer"},
)
"""The same response to every invalid request, so that it does not reveal which part was wrong."""


def bearer_token(headers: Headers) -> bytes:
    """Returns the bearer token; empty, which is never valid, unless there is exactly one header."""
    values = headers.getlist("authorization")
    scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    return token.strip().encode("latin-1") if scheme.lower() == "bearer" else b""

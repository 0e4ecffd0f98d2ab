"""The `Origin` header: pages of other origins may not make the endpoint work."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.errors import reject

__all__ = ["OriginMiddleware"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing; without CORS headers, a page cannot read the responses."""

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class OriginMiddleware:
    """ASGI middleware that responds with 403 to requests from pages of other origins.

    A browser sends some requests of any page without asking the endpoint, and only hides the
    response. It tells the page's origin, or `null`; other programs send no `Origin`.

    Args:
        app: The application.
        allowed: Allowed origins besides the endpoint's own; `*` allows any.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self._app = app
        self._allowed = {_normalized(origin) for origin in allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or responds with 403."""
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            headers = Headers(scope=scope)
            host = headers.get("host")
            own = _normalized(f"{scope['scheme']}://{host}") if host else None
            for origin in headers.getlist("origin"):
                if not self._is_allowed(_normalized(origin), own):
                    await reject(_error(origin), scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _is_allowed(self, origin: str, own: str | None) -> bool:
        return origin == own or origin in self._allowed or "*" in self._allowed


def _normalized(origin: str) -> str:
    """Returns an origin in lower case, without its scheme's default port."""
    scheme, separator, host = origin.lower().partition("://")
    return f"{scheme}{separator}{host.removesuffix(_DEFAULT_PORTS.get(scheme, ' '))}"


def _error(origin: str) -> RequestError:
    return RequestError(
        f"origin: pages of {origin!r} may not send requests; --cors-origin allows other origins",
        param="origin",
        status=403,
        code="foreign_origin",
    )

"""Methods that every resource has: HEAD where GET is, and OPTIONS for the whole server."""

from collections.abc import Iterable

from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["MethodsMiddleware", "allow_of"]


class MethodsMiddleware:
    """ASGI middleware that serves HEAD as GET without the content, and answers `OPTIONS *`.

    The headers of HEAD are those of GET, `content-length` included (RFC 9110, section 9.3.2).

    Args:
        app: The application, which need not know HEAD.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif (scope["method"], scope["path"]) == ("OPTIONS", "*"):
            allow = _joined(scope["app"].routes)
            await Response(status_code=204, headers={"allow": allow})(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._app({**scope, "method": "GET"}, receive, _without_content(send))
        else:
            await self._app(scope, receive, send)


def allow_of(routes: Iterable[BaseRoute], scope: Scope) -> str:
    """Returns the `Allow` header of the resource of a request.

    Args:
        routes: Routes of the application, of which several may have the same path.
        scope: Scope of the request.
    """
    return _joined(route for route in routes if route.matches(scope)[0] is not Match.NONE)


def _joined(routes: Iterable[BaseRoute]) -> str:
    methods = {m for route in routes if isinstance(route, Route) for m in route.methods or ()}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _without_content(send: Send) -> Send:
    async def send_headers(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_headers

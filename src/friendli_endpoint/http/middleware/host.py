"""The `Host` header: names that a page of another origin cannot have made its own."""

import ipaddress
import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.errors import reject

__all__ = ["HostMiddleware"]

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]*\]|[^:\[\]]*)(:[0-9]*)?")


class HostMiddleware:
    """ASGI middleware that responds with 421 to a request for another host than this machine.

    A page in a browser on this machine may send requests to a loopback address and read the
    responses if its own name resolves to that address (DNS rebinding). `Host` then has that name.
    `localhost`, addresses in 127.0.0.0/8 and `[::1]` are allowed with any port. A request without
    `Host`, or with an empty one, is allowed: every browser sends its page's name.

    Args:
        app: The application.
        allowed: Further names and addresses, without ports.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self._app = app
        self._allowed = {"localhost", "[::1]", *(name.lower() for name in allowed)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or responds with 421."""
        if scope["type"] == "http":
            for host in Headers(scope=scope).getlist("host"):
                if host and not self._is_allowed(host.lower()):
                    await reject(_error(host), scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _is_allowed(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        return match is not None and (match["name"] in self._allowed or _is_loopback(match["name"]))


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.IPv4Address(name).is_loopback
    except ValueError:
        return False


def _error(host: str) -> RequestError:
    return RequestError(
        f"host: this endpoint does not serve {host!r}; --allowed-host allows other names than "
        "localhost",
        param="host",
        status=421,
        code="foreign_host",
    )

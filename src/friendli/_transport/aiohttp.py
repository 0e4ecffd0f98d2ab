"""aiohttp as the transport of httpx2, for programs with many concurrent requests.

Requires the extra `aiohttp`. Requests and responses remain those of httpx2, so
everything above the transport (timeouts, redirects, errors, retries) works as before; aiohttp's
connections cost less CPU when many are busy. Certificates, proxies of the environment and user
names in URLs are treated as httpx2 treats them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any

import httpx2

try:
    import aiohttp
    from yarl import URL
except ImportError as missing:
    from friendli._install import install_extra

    raise ImportError(
        f"AiohttpClient needs aiohttp; install it with: {install_extra('aiohttp')}"
    ) from missing

from friendli._transport.environment import proxy_of, verifying_context
from friendli._transport.options import CONNECT_TIMEOUT, READ_TIMEOUT

_SSL: tuple[type[Exception], ...] = (aiohttp.ClientSSLError,)
_CONNECT: tuple[type[Exception], ...] = (aiohttp.ClientConnectorError,)
_PROTOCOL: tuple[type[Exception], ...] = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientPayloadError,
    aiohttp.ClientResponseError,
)


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """httpx2 transport on aiohttp's connection pool.

    Args:
        limit: Maximum number of open connections; 0 means unlimited.
        **connector: Arguments of `aiohttp.TCPConnector`.
    """

    def __init__(self, *, limit: int = 0, **connector: Any) -> None:
        self._connector = {"limit": limit, **connector}
        self._tls: Any = None
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return the response; its body is read lazily."""
        timeouts = request.extensions.get("timeout", {})
        timeout = aiohttp.ClientTimeout(
            total=None,
            connect=timeouts.get("pool"),
            sock_connect=timeouts.get("connect"),
            sock_read=timeouts.get("read"),
        )
        # The HTTP client has made a header of the user name and password in a URL.
        url = str(request.url.copy_with(userinfo=b""))
        proxy = proxy_of(url)
        with _as_httpx2(request, connecting=True):
            response = await self._current_session().request(
                request.method,
                URL(url, encoded=True),
                headers=[(k.decode("ascii"), v.decode("latin-1")) for k, v in request.headers.raw],
                data=await request.aread(),
                allow_redirects=False,
                timeout=timeout,
                proxy=proxy,
                ssl=self._context() if request.url.scheme == "https" else True,
                skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
            )
        return httpx2.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=_Body(response, request),
            extensions={"http_version": b"HTTP/1.1"},
        )

    async def aclose(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    def _current_session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(**self._connector),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    def _context(self) -> Any:
        """Return the TLS context: that of the connector's arguments, else as httpx2's."""
        if self._tls is None:
            self._tls = self._connector.get("ssl") or verifying_context()
        return self._tls


class _Body(httpx2.AsyncByteStream):
    """Body of a response, in chunks as they arrive."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx2.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx2(self._request, connecting=False):
            async for chunk in self._response.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        self._response.close()


def AiohttpClient(*, limit: int = 0, **connector: Any) -> httpx2.AsyncClient:
    """Create an HTTP client on aiohttp, to pass as `async_client=`.

    The caller owns it: close it by `async with` or `aclose()`.

    Args:
        limit: Maximum number of open connections; 0 means unlimited.
        **connector: Arguments of `aiohttp.TCPConnector`.
    """
    return httpx2.AsyncClient(
        transport=AiohttpTransport(limit=limit, **connector),
        timeout=httpx2.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
        follow_redirects=True,
    )


@contextlib.contextmanager
def _as_httpx2(request: httpx2.Request, *, connecting: bool) -> Iterator[None]:
    """Convert errors of aiohttp to those of httpx2."""
    try:
        yield
    except TimeoutError as error:
        is_connect = isinstance(error, aiohttp.ConnectionTimeoutError)
        kind = httpx2.ConnectTimeout if is_connect else httpx2.ReadTimeout
        raise kind(str(error), request=request) from error
    except (*_SSL, *_CONNECT) as error:
        raise httpx2.ConnectError(str(error), request=request) from error
    except _PROTOCOL as error:
        raise httpx2.RemoteProtocolError(str(error), request=request) from error
    except (aiohttp.ClientError, OSError) as error:
        cls = httpx2.WriteError if connecting else httpx2.ReadError
        raise cls(str(error), request=request) from error

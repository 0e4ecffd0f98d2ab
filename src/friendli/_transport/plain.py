"""TLS on demand, for clients whose server_url is plain http.

Such a client does not load certificates when it is built. If a redirect or the `server_url` of a
call is https, these transports load them then, and verify the server as usual.
"""

from __future__ import annotations

import threading

import httpx2

from friendli._transport.environment import verifying_context


class PlainHTTPS(httpx2.BaseTransport):
    """Sync transport that builds the verifying transport at the first https request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._real: httpx2.HTTPTransport | None = None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request over a verified connection."""
        with self._lock:
            if self._real is None:
                self._real = httpx2.HTTPTransport(verify=verifying_context())
        return self._real.handle_request(request)

    def close(self) -> None:
        """Close the verifying transport, if it was built."""
        if self._real is not None:
            self._real.close()


class AsyncPlainHTTPS(httpx2.AsyncBaseTransport):
    """Async transport that builds the verifying transport at the first https request."""

    def __init__(self) -> None:
        self._real: httpx2.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request over a verified connection."""
        if self._real is None:
            self._real = httpx2.AsyncHTTPTransport(verify=verifying_context())
        return await self._real.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the verifying transport, if it was built."""
        if self._real is not None:
            await self._real.aclose()

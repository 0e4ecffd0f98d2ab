"""TLS for clients whose server_url is plain http.

Such a client loads no certificates when it is built. Should a redirect or a call's own server_url
lead to https after all, these transports load them then, and verify as ever.
"""

from __future__ import annotations

import threading

import httpx2


class PlainHTTPS(httpx2.BaseTransport):
    """Builds the verifying transport when the first https request comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._real: httpx2.HTTPTransport | None = None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request over a verified connection."""
        with self._lock:
            if self._real is None:
                self._real = httpx2.HTTPTransport()
        return self._real.handle_request(request)

    def close(self) -> None:
        """Close what was opened."""
        if self._real is not None:
            self._real.close()


class AsyncPlainHTTPS(httpx2.AsyncBaseTransport):
    """Builds the verifying transport when the first https request comes."""

    def __init__(self) -> None:
        self._real: httpx2.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request over a verified connection."""
        if self._real is None:
            self._real = httpx2.AsyncHTTPTransport()
        return await self._real.handle_async_request(request)

    async def aclose(self) -> None:
        """Close what was opened."""
        if self._real is not None:
            await self._real.aclose()

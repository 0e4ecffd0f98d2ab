"""The HTTP clients that an exchange can run on, as protocols.

`httpx2.Client`, `httpx.Client` and their async twins fit, and so does anything with these methods.
A client that is passed in is used and never closed by us.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class HttpClient(Protocol):
    """A sync HTTP client."""

    def send(
        self,
        request: Any,
        *,
        stream: bool = ...,
        auth: Any = ...,
        follow_redirects: Any = ...,
    ) -> Any:
        """Send a request; with `stream` the response's body is left unread."""

    def build_request(
        self,
        method: str,
        url: Any,
        *,
        content: Any = ...,
        data: Any = ...,
        files: Any = ...,
        json: Any = ...,
        params: Any = ...,
        headers: Any = ...,
        cookies: Any = ...,
        timeout: Any = ...,
        extensions: Any = ...,
    ) -> Any:
        """Build a request, with the client's own headers, cookies and timeouts merged in."""

    def close(self) -> None:
        """Close the client's connections."""


@runtime_checkable
class AsyncHttpClient(Protocol):
    """An async HTTP client."""

    async def send(
        self,
        request: Any,
        *,
        stream: bool = ...,
        auth: Any = ...,
        follow_redirects: Any = ...,
    ) -> Any:
        """Send a request; with `stream` the response's body is left unread."""

    def build_request(
        self,
        method: str,
        url: Any,
        *,
        content: Any = ...,
        data: Any = ...,
        files: Any = ...,
        json: Any = ...,
        params: Any = ...,
        headers: Any = ...,
        cookies: Any = ...,
        timeout: Any = ...,
        extensions: Any = ...,
    ) -> Any:
        """Build a request, with the client's own headers, cookies and timeouts merged in."""

    async def aclose(self) -> None:
        """Close the client's connections."""

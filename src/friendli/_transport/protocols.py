"""Protocols of the HTTP clients that an exchange can run on.

`httpx2.Client`, `httpx.Client` and their async counterparts implement them. A client that is
passed in is used, but never closed.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class HttpClient(Protocol):
    """Protocol of a sync HTTP client; it must be thread-safe if the program uses threads.

    Exceptions of `httpx`, `httpx2`, and the builtin ConnectionError and TimeoutError are raised to
    the program as `friendli.NetworkError`; others propagate unchanged.
    """

    def send(
        self,
        request: Any,
        *,
        stream: bool = ...,
        auth: Any = ...,
        follow_redirects: Any = ...,
    ) -> Any:
        """Send a request and return the response.

        Args:
            request: Result of `build_request()`, or its replacement by a hook.
            stream: Always True: the body of the response is left unread.
            auth: Not passed by the client.
            follow_redirects: Always False: the client follows `next_request` of the response.

        Returns:
            A response with the interface of `httpx2.Response`.
        """

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
        """Build a request, merged with the headers, cookies and timeouts of the HTTP client.

        The client passes `content` (JSON bytes), `headers` and, if the program sets one, `timeout`:
        four numbers of seconds, for connect, read, write and pool.
        """

    def close(self) -> None:
        """Close the connections."""


@runtime_checkable
class AsyncHttpClient(Protocol):
    """Protocol of an async HTTP client; see `HttpClient` for its exceptions."""

    async def send(
        self,
        request: Any,
        *,
        stream: bool = ...,
        auth: Any = ...,
        follow_redirects: Any = ...,
    ) -> Any:
        """Send a request and return the response.

        Args:
            request: Result of `build_request()`, or its replacement by a hook.
            stream: Always True: the body of the response is left unread.
            auth: Not passed by the client.
            follow_redirects: Always False: the client follows `next_request` of the response.

        Returns:
            A response with the interface of `httpx2.Response`.
        """

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
        """Build a request, merged with the headers, cookies and timeouts of the HTTP client.

        The client passes `content` (JSON bytes), `headers` and, if the program sets one, `timeout`:
        four numbers of seconds, for connect, read, write and pool.
        """

    async def aclose(self) -> None:
        """Close the connections."""

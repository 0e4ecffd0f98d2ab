"""The HTTP clients that a program may pass in, as protocols.

`httpx2.Client`, `httpx.Client` and their async twins fit, and so does anything with these methods.
A client that is passed in is used and never closed by us.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from friendli._loop import current_loop

if TYPE_CHECKING:
    from asyncio import Task

__all__ = ["AsyncHttpClient", "ClientOwner", "HttpClient", "close_clients"]


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


class ClientOwner(Protocol):
    """What holds a sync and an async HTTP client."""

    client: HttpClient | None
    async_client: AsyncHttpClient | None


def close_clients(
    owner: ClientOwner,
    sync_client: HttpClient | None,
    sync_client_supplied: bool,
    async_client: AsyncHttpClient | None,
    async_client_supplied: bool,
) -> None:
    """Take both clients from their owner, and close those that were not supplied to it.

    For owners of the program's own; `SyncFriendli` and `AsyncFriendli` close themselves.
    """
    owner.client = None
    owner.async_client = None
    if sync_client is not None and not sync_client_supplied:
        sync_client.close()
    if async_client is not None and not async_client_supplied:
        import asyncio

        loop = current_loop()
        if loop is None:
            asyncio.run(async_client.aclose())
        else:
            closing = loop.create_task(async_client.aclose())
            _closing.add(closing)
            closing.add_done_callback(_closing.discard)


_closing: set[Task[None]] = set()
"""Tasks that nobody else holds on to."""

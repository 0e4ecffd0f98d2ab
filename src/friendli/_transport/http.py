"""Ownership of the HTTP client: the program that passed one in, or we.

Ours is built when the first call needs it, once for all threads; anew after a fork, whose child
must not write on its parent's connections; and anew in another event loop, to which connections
cannot follow. httpx2 is imported then, and not before.
"""

from __future__ import annotations

import contextlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

from friendli._errors import ClientClosedError
from friendli._transport.loop import current_loop
from friendli._transport.options import CONNECT_TIMEOUT, READ_TIMEOUT
from friendli._transport.protocols import AsyncHttpClient, HttpClient

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

C = TypeVar("C")

MAX_CONNECTIONS = 1000
MAX_IDLE_CONNECTIONS = 100
IDLE_SECONDS = 30.0


class _Owned(ABC, Generic[C]):
    """A client that is either the program's, or ours: one for each place it is used in."""

    def __init__(self, given: C | None, url: str) -> None:
        self._given = given
        self._url = url
        self._ours: dict[object, C] = {}
        self._left_behind: dict[object, C] = {}
        self._lock = threading.Lock()
        self._closed = False
        _owners.add(self)

    def get(self) -> C:
        """Give the client to use here and now.

        Raises:
            ClientClosedError: The owner has been closed.
        """
        if self._closed:
            raise ClientClosedError("this client is closed; make a new one to send more requests")
        if self._given is not None:
            return self._given
        place = self._here()
        ours = self._ours.get(place)
        if ours is None:
            with self._lock:
                ours = self._ours.get(place)
                if ours is None:
                    ours = self._ours[place] = self._new()
        return ours

    def after_fork(self) -> None:
        """Forget the parent's connections, and a lock that one of its threads may hold."""
        self._lock = threading.Lock()
        self._left_behind |= self._ours  # kept, so that nothing closes them from here
        self._ours = {}

    def _take(self) -> C | None:
        """Mark as closed, and give the client that can be closed here, if there is one."""
        self._closed = True
        ours, self._ours = self._ours, {}
        return ours.get(self._here())

    @abstractmethod
    def _here(self) -> object: ...

    @abstractmethod
    def _new(self) -> C: ...


class SyncOwned(_Owned[HttpClient]):
    """A sync HTTP client, one for all threads."""

    def close(self) -> None:
        """Close our client; a client that was passed in stays open."""
        ours = self._take()
        if ours is not None:
            ours.close()

    def __del__(self) -> None:
        if getattr(self, "_ours", None):
            self.close()

    def _here(self) -> object:
        return None

    def _new(self) -> HttpClient:
        import httpx2

        settings = _settings()
        if _needs_no_tls(self._url):
            from friendli._transport.plain import PlainHTTPS

            settings |= {"verify": False, "mounts": {"https://": PlainHTTPS()}}
        return httpx2.Client(**settings)


class AsyncOwned(_Owned[AsyncHttpClient]):
    """An async HTTP client, one for each event loop.

    Each is held by an async generator that closes it in the end. Event loops close such generators
    when they shut down or when they are collected as garbage, so connections never outlive their
    loop, even if nobody closes the client.
    """

    def __init__(self, given: AsyncHttpClient | None, url: str) -> None:
        super().__init__(given, url)
        self._holders: dict[AbstractEventLoop | None, AsyncGenerator[None, None]] = {}

    async def aclose(self) -> None:
        """Close our client of this event loop; a client that was passed in stays open."""
        if self._take() is not None:
            await self._holders.pop(current_loop()).aclose()

    def _here(self) -> object:
        return current_loop()

    def _new(self) -> AsyncHttpClient:
        import httpx2

        for loop in list(self._holders):
            if loop is not None and loop.is_closed():
                del self._ours[loop], self._holders[loop]
        settings = _settings()
        if _needs_no_tls(self._url):
            from friendli._transport.plain import AsyncPlainHTTPS

            settings |= {"verify": False, "mounts": {"https://": AsyncPlainHTTPS()}}
        client = httpx2.AsyncClient(**settings)
        self._holders[current_loop()] = _held(client)
        return client


def _held(client: AsyncHttpClient) -> AsyncGenerator[None, None]:
    async def hold() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await client.aclose()

    holder = hold()
    with contextlib.suppress(StopIteration):
        holder.__anext__().send(None)  # up to the yield: from here on the loop knows of it
    return holder


_owners: WeakSet[_Owned[Any]] = WeakSet()


def _after_fork() -> None:
    for owner in list(_owners):
        owner.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _settings() -> dict[str, Any]:
    import httpx2

    return {
        "timeout": httpx2.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
        "limits": httpx2.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
        ),
        "follow_redirects": True,
    }


def _needs_no_tls(url: str) -> bool:
    """Tell whether loading the certificate store (some 80 ms) would be for nothing."""
    from urllib.request import getproxies

    return urlsplit(url).scheme == "http" and not getproxies()

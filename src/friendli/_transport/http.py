"""Providers of the HTTP client: one that the program passed in, or the built-in one.

The built-in client is created at the first call, once for all threads; again after a fork, because
the child must not write to the connections of its parent; and again in another event loop, because
connections cannot move between loops; and again while a mock replaces the transports of httpx2,
which this client does not use without one. httpx2 is imported only then.
"""

from __future__ import annotations

import contextlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from types import AsyncGeneratorType
from typing import Any, Generic, TypeAlias, TypeVar, cast
from weakref import WeakSet

from friendli._errors import ClientClosedError
from friendli._transport.loop import current_run
from friendli._transport.mocks import is_transport_replaced, warn_of_mocks
from friendli._transport.options import (
    CONNECT_TIMEOUT,
    IDLE_SECONDS,
    MAX_CONNECTIONS,
    MAX_IDLE_CONNECTIONS,
    READ_TIMEOUT,
)
from friendli._transport.protocols import AsyncHttpClient, HttpClient

C = TypeVar("C")

Key: TypeAlias = tuple[object, bool]
"""The event loop of a client, None for a sync one, and whether it uses httpx2's own transports."""


class _HttpProvider(ABC, Generic[C]):
    """Provider of the client that was supplied, or of an owned one per key."""

    def __init__(self, supplied: C | None) -> None:
        self._supplied = supplied
        self._clients: dict[Key, C] = {}
        self._parent_clients: dict[Key, C] = {}
        self._lock = threading.Lock()
        self._closed = False
        _providers.add(self)

    def get(self) -> C:
        """Return the HTTP client for the current process and event loop.

        Raises:
            ClientClosedError: The provider has been closed.
        """
        if self._closed:
            raise ClientClosedError("this client is closed; create a new one to send requests")
        if self._supplied is not None:
            return self._supplied
        warn_of_mocks()
        key = (self._current_run(), is_transport_replaced())
        owned = self._clients.get(key)
        if owned is None:
            with self._lock:
                owned = self._clients.get(key)
                if owned is None:
                    owned = self._clients[key] = self._new(key)
        return owned

    def after_fork(self) -> None:
        """Drop the connections of the parent, and the lock that one of its threads may hold."""
        self._lock = threading.Lock()
        self._parent_clients |= self._clients  # kept, so that this process does not close them
        self._clients = {}

    def _detach(self) -> dict[Key, C]:
        """Mark as closed, and return the clients of the current event loop."""
        self._closed = True
        owned, self._clients = self._clients, {}
        run = self._current_run()
        return {key: client for key, client in owned.items() if key[0] is run}

    @abstractmethod
    def _current_run(self) -> object: ...

    @abstractmethod
    def _new(self, key: Key) -> C: ...


class SyncHttpProvider(_HttpProvider[HttpClient]):
    """Provider of a sync HTTP client, one for all threads."""

    def close(self) -> None:
        """Close the owned client; a client that was passed in stays open."""
        for owned in self._detach().values():
            owned.close()

    def __del__(self) -> None:
        if getattr(self, "_clients", None):
            self.close()

    def _current_run(self) -> object:
        return None

    def _new(self, key: Key) -> HttpClient:
        import httpx2

        if _needs_httpx2(key):
            return httpx2.Client(**_of_httpx2(is_async=False), **_settings())
        from friendli._transport.direct import DirectTransport

        return httpx2.Client(transport=DirectTransport(), **_settings())


class AsyncHttpProvider(_HttpProvider[AsyncHttpClient]):
    """Provider of async HTTP clients, one per event loop.

    Each client is held by an async generator that closes it in its `finally`. Event loops close
    async generators at shutdown, and when they are garbage-collected, so connections never outlive
    their loop, even if the program does not close the client.
    """

    def __init__(self, supplied: AsyncHttpClient | None) -> None:
        super().__init__(supplied)
        self._holders: dict[Key, AsyncGeneratorType[None, None]] = {}

    async def aclose(self) -> None:
        """Close the owned client of this event loop; a client that was passed in stays open."""
        for key in self._detach():
            await self._holders.pop(key).aclose()

    def _current_run(self) -> object:
        return current_run()

    def _new(self, key: Key) -> AsyncHttpClient:
        import httpx2

        for known, holder in list(self._holders.items()):
            if holder.ag_frame is None or _is_closed(known[0]):
                self._clients.pop(known, None)  # the client of a parent process is kept apart
                del self._holders[known]
        if _needs_httpx2(key):
            client = httpx2.AsyncClient(**_of_httpx2(is_async=True), **_settings())
        else:
            from friendli._transport.async_direct import AsyncDirectTransport

            client = httpx2.AsyncClient(transport=AsyncDirectTransport(), **_settings())
        self._holders[key] = _hold(client)
        return client


def _hold(client: AsyncHttpClient) -> AsyncGeneratorType[None, None]:
    async def hold() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await client.aclose()

    holder = cast("AsyncGeneratorType[None, None]", hold())
    with contextlib.suppress(StopIteration):
        holder.__anext__().send(None)  # runs to the yield, which registers it with the loop
    return holder


def _is_closed(run: object) -> bool:
    """Whether a run is an asyncio loop that was closed, maybe without closing its generators."""
    is_closed = getattr(run, "is_closed", None)
    return is_closed is not None and bool(is_closed())


_providers: WeakSet[_HttpProvider[Any]] = WeakSet()


def _after_fork() -> None:
    for provider in list(_providers):
        provider.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _settings() -> dict[str, Any]:
    """Return the arguments of every httpx2 client."""
    import httpx2

    return {
        "timeout": httpx2.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
        "follow_redirects": True,
    }


def _needs_httpx2(key: Key) -> bool:
    """Return whether requests need proxies of the environment, or have to be seen by mocks."""
    from urllib.request import getproxies

    return key[1] or not getproxies().keys() <= {"no"}


def _of_httpx2(is_async: bool) -> dict[str, Any]:
    """Return the arguments of a client with httpx2's own transports, and its proxies.

    Raises:
        ConfigurationError: An environment variable about certificates is wrong.
    """
    import httpx2

    from friendli._transport.environment import proxy_mounts, verifying_context, wrong_proxies

    verify = verifying_context()
    limits = httpx2.Limits(
        max_connections=MAX_CONNECTIONS,
        max_keepalive_connections=MAX_IDLE_CONNECTIONS,
        keepalive_expiry=IDLE_SECONDS,
    )
    settings = {"verify": verify, "limits": limits}
    wrong = wrong_proxies()
    if wrong:
        mounts = proxy_mounts(wrong, verify, is_async)
        settings |= {"trust_env": False, "mounts": mounts}
    return settings

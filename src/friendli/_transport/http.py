"""Providers of the HTTP client: one that the program passed in, or the built-in one.

The built-in client is created at the first call, once for all threads; again after a fork, because
the child must not write to the connections of its parent; and again in another event loop, because
connections cannot move between loops. httpx2 is imported only then.
"""

from __future__ import annotations

import contextlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from types import AsyncGeneratorType
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlsplit
from weakref import WeakSet

from friendli._errors import ClientClosedError
from friendli._transport.loop import current_run
from friendli._transport.mocks import warn_of_mocks
from friendli._transport.options import CONNECT_TIMEOUT, READ_TIMEOUT
from friendli._transport.protocols import AsyncHttpClient, HttpClient

C = TypeVar("C")

MAX_CONNECTIONS = 1000
MAX_IDLE_CONNECTIONS = 100
IDLE_SECONDS = 30.0


class _HttpProvider(ABC, Generic[C]):
    """Provider of the client that was supplied, or of an owned one per `_current_key()`."""

    def __init__(self, supplied: C | None, url: str) -> None:
        self._supplied = supplied
        self._url = url
        self._clients: dict[object, C] = {}
        self._parent_clients: dict[object, C] = {}
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
        key = self._current_key()
        owned = self._clients.get(key)
        if owned is None:
            with self._lock:
                owned = self._clients.get(key)
                if owned is None:
                    owned = self._clients[key] = self._new()
        return owned

    def after_fork(self) -> None:
        """Drop the connections of the parent, and the lock that one of its threads may hold."""
        self._lock = threading.Lock()
        self._parent_clients |= self._clients  # kept, so that this process does not close them
        self._clients = {}

    def _detach(self) -> C | None:
        """Mark as closed and return the client of the current key, or None."""
        self._closed = True
        owned, self._clients = self._clients, {}
        return owned.get(self._current_key())

    @abstractmethod
    def _current_key(self) -> object: ...

    @abstractmethod
    def _new(self) -> C: ...


class SyncHttpProvider(_HttpProvider[HttpClient]):
    """Provider of a sync HTTP client, one for all threads."""

    def close(self) -> None:
        """Close the owned client; a client that was passed in stays open."""
        owned = self._detach()
        if owned is not None:
            owned.close()

    def __del__(self) -> None:
        if getattr(self, "_clients", None):
            self.close()

    def _current_key(self) -> object:
        return None

    def _new(self) -> HttpClient:
        import httpx2

        return httpx2.Client(**_settings(self._url, is_async=False))


class AsyncHttpProvider(_HttpProvider[AsyncHttpClient]):
    """Provider of async HTTP clients, one per event loop.

    Each client is held by an async generator that closes it in its `finally`. Event loops close
    async generators at shutdown, and when they are garbage-collected, so connections never outlive
    their loop, even if the program does not close the client.
    """

    def __init__(self, supplied: AsyncHttpClient | None, url: str) -> None:
        super().__init__(supplied, url)
        self._holders: dict[object, AsyncGeneratorType[None, None]] = {}

    async def aclose(self) -> None:
        """Close the owned client of this event loop; a client that was passed in stays open."""
        if self._detach() is not None:
            await self._holders.pop(current_run()).aclose()

    def _current_key(self) -> object:
        return current_run()

    def _new(self) -> AsyncHttpClient:
        import httpx2

        for run, holder in list(self._holders.items()):
            if holder.ag_frame is None or _is_closed(run):
                del self._clients[run], self._holders[run]
        client = httpx2.AsyncClient(**_settings(self._url, is_async=True))
        self._holders[current_run()] = _hold(client)
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


def _settings(url: str, is_async: bool) -> dict[str, Any]:
    """Return the arguments of an httpx2 client whose requests mostly go to a URL.

    Raises:
        ConfigurationError: An environment variable about certificates is wrong.
    """
    import httpx2

    settings = {
        "timeout": httpx2.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
        "limits": httpx2.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
        ),
        "follow_redirects": True,
    }
    return settings | (_plain(is_async) if _can_skip_tls(url) else _verifying(is_async))


def _plain(is_async: bool) -> dict[str, Any]:
    from friendli._transport.plain import AsyncPlainHTTPS, PlainHTTPS

    mounts = {"https://": AsyncPlainHTTPS() if is_async else PlainHTTPS()}
    return {"verify": False, "mounts": mounts}


def _verifying(is_async: bool) -> dict[str, Any]:
    from friendli._transport.environment import proxy_mounts, verifying_context, wrong_proxies

    verify = verifying_context()
    wrong = wrong_proxies()
    if not wrong:
        return {"verify": verify}
    return {"verify": verify, "trust_env": False, "mounts": proxy_mounts(wrong, verify, is_async)}


def _can_skip_tls(url: str) -> bool:
    """Return whether the certificate store, which takes some 80 ms to load, is not needed."""
    from urllib.request import getproxies

    return urlsplit(url).scheme == "http" and not getproxies()

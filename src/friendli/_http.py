"""Who owns the HTTP client: the program that passed one in, or we.

Ours is built when the first call needs it, once for all threads; anew after a fork, whose child
must not write on its parent's connections; and anew in another event loop, to which connections
cannot follow. httpx2 is imported then, and not before.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from friendli._call import CONNECT_TIMEOUT, READ_TIMEOUT
from friendli._errors import ClientClosedError
from friendli.httpclient import AsyncHttpClient, HttpClient

C = TypeVar("C")

MAX_CONNECTIONS = 1000
MAX_IDLE_CONNECTIONS = 100
IDLE_SECONDS = 30.0


class _Owned(Generic[C]):
    """A client that is either the program's or ours."""

    def __init__(self, given: C | None, url: str) -> None:
        self._given = given
        self._url = url
        self._ours: C | None = None
        self._place: object = None
        self._lock = threading.Lock()
        self._closed = False

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
        if self._ours is None or place != self._place:
            self._build(place)
        assert self._ours is not None
        return self._ours

    def _build(self, place: object) -> None:
        if self._place is not None and self._place != place:
            self._lock = threading.Lock()  # a thread that the fork left behind may hold the old one
        with self._lock:
            if self._ours is None or self._place != place:
                self._ours = self._new()
                self._place = place

    def _take(self) -> C | None:
        """Mark as closed, and give our client if there is one that can be closed here."""
        self._closed = True
        ours, self._ours = self._ours, None
        return ours if self._place == self._here() else None

    def _here(self) -> object:
        raise NotImplementedError

    def _new(self) -> C:
        raise NotImplementedError


class SyncOwned(_Owned[HttpClient]):
    """A sync HTTP client."""

    def close(self) -> None:
        """Close our client; a client that was passed in stays open."""
        ours = self._take()
        if ours is not None:
            ours.close()

    def _here(self) -> object:
        return os.getpid()

    def _new(self) -> HttpClient:
        import httpx2

        settings = _settings()
        if _needs_no_tls(self._url):
            from friendli._plain import PlainHTTPS

            settings |= {"verify": False, "mounts": {"https://": PlainHTTPS()}}
        return httpx2.Client(**settings)


class AsyncOwned(_Owned[AsyncHttpClient]):
    """An async HTTP client."""

    async def aclose(self) -> None:
        """Close our client; a client that was passed in stays open."""
        ours = self._take()
        if ours is not None:
            await ours.aclose()

    def _here(self) -> object:
        try:
            return os.getpid(), asyncio.get_running_loop()
        except RuntimeError:
            return os.getpid(), None

    def _new(self) -> AsyncHttpClient:
        import httpx2

        settings = _settings()
        if _needs_no_tls(self._url):
            from friendli._plain import AsyncPlainHTTPS

            settings |= {"verify": False, "mounts": {"https://": AsyncPlainHTTPS()}}
        return httpx2.AsyncClient(**settings)


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
    """Whether loading the certificate store (some 80 ms) would be for nothing."""
    return urlsplit(url).scheme == "http" and not getproxies()

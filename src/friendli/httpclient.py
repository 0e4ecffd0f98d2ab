"""Import path that programs use for the protocols of HTTP clients."""

from __future__ import annotations

from friendli._compat.clients import ClientOwner, close_clients
from friendli._transport.protocols import AsyncHttpClient, HttpClient

__all__ = ["AsyncHttpClient", "ClientOwner", "HttpClient", "close_clients"]

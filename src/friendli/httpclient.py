"""The HTTP clients that a program may pass in, under the path that programs import them by."""

from __future__ import annotations

from friendli._compat.clients import ClientOwner, close_clients
from friendli._transport.protocols import AsyncHttpClient, HttpClient

__all__ = ["AsyncHttpClient", "ClientOwner", "HttpClient", "close_clients"]

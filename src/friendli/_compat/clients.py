"""Closing of a pair of HTTP clients, for owners that the program defines."""

from __future__ import annotations

from typing import Protocol

from friendli._transport.loop import current_run, run_later
from friendli._transport.protocols import AsyncHttpClient, HttpClient


class ClientOwner(Protocol):
    """Protocol of an owner of a sync and an async HTTP client."""

    client: HttpClient | None
    async_client: AsyncHttpClient | None


def close_clients(
    owner: ClientOwner,
    sync_client: HttpClient | None,
    sync_client_supplied: bool,
    async_client: AsyncHttpClient | None,
    async_client_supplied: bool,
) -> None:
    """Remove both clients from their owner, and close those that were not supplied to it.

    For owners that the program defines; `SyncFriendli` and `AsyncFriendli` close themselves.
    """
    owner.client = None
    owner.async_client = None
    if sync_client is not None and not sync_client_supplied:
        sync_client.close()
    if async_client is not None and not async_client_supplied:
        run = current_run()
        if run is None:
            import asyncio

            asyncio.run(async_client.aclose())
        else:
            run_later(run, async_client.aclose)

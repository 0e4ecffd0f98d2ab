from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest


class Owner:
    """Owner of a sync and an async client."""

    def __init__(self) -> None:
        self.client: Any = httpx2.Client()
        self.async_client: Any = httpx2.AsyncClient()


@pytest.mark.parametrize("in_loop", [False, True])
@pytest.mark.parametrize("supplied", [False, True])
def test_close_clients_leaves_supplied_clients_open(in_loop: bool, supplied: bool) -> None:
    from friendli.httpclient import close_clients

    owner = Owner()
    sync_client, async_client = owner.client, owner.async_client

    async def main() -> None:
        close_clients(owner, sync_client, supplied, async_client, supplied)
        await asyncio.sleep(0.01)

    if in_loop:
        asyncio.run(main())
    else:
        close_clients(owner, sync_client, supplied, async_client, supplied)
    assert owner.client is None and owner.async_client is None
    assert sync_client.is_closed is not supplied and async_client.is_closed is not supplied
    sync_client.close()
    asyncio.run(async_client.aclose())

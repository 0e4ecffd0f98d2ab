"""Abandoned streams do not leak descriptors, objects or memory."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import tracemalloc
from collections.abc import Callable

import pytest

from friendli import AsyncFriendli, SyncFriendli

from ..wire import MESSAGES, Peer, Server, chunk, chunked, event, stream_head

STREAMS = 2000
WARM_UP = 200


def endless(peer: Peer) -> None:
    peer.send(stream_head() + chunked(event(chunk({"content": "a"}))) * 3)
    peer.wait_for_disconnect()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class Resources:
    """Number of open descriptors and of objects, and allocated memory in bytes."""

    def __init__(self, server: Server) -> None:
        server.requests.clear()
        server.join()
        gc.collect()
        self.descriptors = descriptors()
        self.objects = len(gc.get_objects())
        self.memory = tracemalloc.get_traced_memory()[0]


def assert_no_growth(before: Resources, after: Resources) -> None:
    assert after.descriptors <= before.descriptors + 20
    assert after.objects <= before.objects + 3000
    assert after.memory <= before.memory + 512 * 1024


@pytest.fixture
def traced() -> object:
    tracemalloc.start()
    yield
    tracemalloc.stop()


pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(sys.platform != "linux", reason="counts /proc/self/fd"),
]


@pytest.mark.usefixtures("traced")
def test_abandoned_sync_streams_do_not_leak(serve: Callable[..., Server]) -> None:
    server = serve(endless)
    with SyncFriendli("t", server_url=server.url) as client:

        def leave(how: int) -> None:
            stream = client.dedicated.chat.stream(model="e", messages=MESSAGES)
            if how % 4 == 0:
                with stream:
                    next(stream)
            elif how % 4 == 1:
                next(stream)
                stream.close()
            elif how % 4 == 2:
                next(stream)  # abandoned after one event
            # else: abandoned unread

        for how in range(WARM_UP):
            leave(how)
        before = Resources(server)
        for how in range(STREAMS):
            leave(how)
        after = Resources(server)
    assert_no_growth(before, after)


@pytest.mark.usefixtures("traced")
def test_abandoned_async_streams_do_not_leak(serve: Callable[..., Server]) -> None:
    server = serve(endless)

    async def main() -> tuple[Resources, Resources]:
        async with AsyncFriendli("t", server_url=server.url) as client:

            async def leave(how: int) -> None:
                stream = await client.dedicated.chat.stream(model="e", messages=MESSAGES)
                if how % 3 == 0:
                    async with stream:
                        await anext(stream)
                elif how % 3 == 1:
                    await anext(stream)
                    await stream.close()
                else:
                    await anext(stream)  # abandoned: its finalizer closes it in a new task
                    del stream
                    await asyncio.sleep(0)

            for how in range(WARM_UP):
                await leave(how)
            before = Resources(server)
            for how in range(STREAMS // 4):
                await leave(how)
            return before, Resources(server)

    before, after = asyncio.run(main())
    assert_no_growth(before, after)
    assert threading.active_count() < 50

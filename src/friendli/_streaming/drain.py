"""Draining of a stream's body after `[DONE]`, so that the connection can be reused.

An HTTP/1.1 connection can be reused only after the body has been read to its end. The end usually
arrives with `[DONE]` or right after it, and waiting for it saves the next request a TCP and a TLS
handshake. If the server holds the connection open instead, it is closed after `DRAIN_SECONDS`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from friendli._transport.chunks import interrupter
from friendli._transport.loop import current_loop

DRAIN_SECONDS: Final = 0.05


def drain(response: Any, chunks: Iterator[bytes]) -> None:
    """Read a sync body to its end, for at most `DRAIN_SECONDS`."""
    interrupt = interrupter(response)
    if interrupt is None:
        return  # a blocking read could not be interrupted
    # A read blocks, so another thread has to interrupt it. If that happens after the end of the
    # body, the pool notices that the idle connection is dead.
    watchdog = threading.Timer(DRAIN_SECONDS, interrupt)
    watchdog.daemon = True
    watchdog.start()
    try:
        with contextlib.suppress(Exception):
            for _ in chunks:
                pass
    finally:
        watchdog.cancel()


async def drain_async(chunks: AsyncIterator[bytes]) -> None:
    """Read an async body to its end, for at most `DRAIN_SECONDS`."""
    if current_loop() is None:
        return
    import asyncio

    with contextlib.suppress(Exception):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in chunks:
                pass

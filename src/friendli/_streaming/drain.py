"""After `[DONE]`: the rest of the body, so that the connection can serve the next request.

An HTTP/1.1 connection can be used again only when the body has been read to its end. The end
mostly comes with `[DONE]` or right behind it, and waiting for it saves the next request a TCP and
a TLS handshake. A server that holds the connection open instead is given `DRAIN_SECONDS`, and the
connection is closed.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from friendli._transport.loop import current_loop

DRAIN_SECONDS: Final = 0.05


def drain(response: Any, chunks: Iterator[bytes]) -> None:
    """Read a sync body to its end, if that comes soon."""
    network = getattr(response, "extensions", {}).get("network_stream")
    sock = network.get_extra_info("socket") if network is not None else None
    if sock is None:
        return  # nothing that could be interrupted

    def interrupt() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    # A read blocks, so another thread has to end it. Should it come too late, the pool notices
    # that the idle connection is dead.
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
    """Read an async body to its end, if that comes soon."""
    if current_loop() is None:
        return
    import asyncio

    with contextlib.suppress(Exception):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in chunks:
                pass

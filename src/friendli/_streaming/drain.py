"""Draining of a stream's body after `[DONE]`, so that the connection can be reused.

An HTTP/1.1 connection can be reused only after the body has been read to its end. The end usually
arrives with `[DONE]` or right after it, and waiting for it saves the next request a TCP and a TLS
handshake. If the server holds the connection open instead, it is closed after `DRAIN_SECONDS`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from friendli._transport.chunks import ReadLimit
from friendli._transport.loop import within

DRAIN_SECONDS: Final = 0.05


def drain(response: Any, chunks: Iterator[bytes]) -> None:
    """Read a sync body to its end, for at most `DRAIN_SECONDS`."""
    end = time.monotonic() + DRAIN_SECONDS
    limit = ReadLimit(response, lambda: end - time.monotonic())
    if not limit.is_effective:
        return  # a blocking read could take forever
    with contextlib.suppress(Exception), limit:
        for _ in chunks:
            if time.monotonic() >= end:
                break


async def drain_async(chunks: AsyncIterator[bytes]) -> None:
    """Read an async body to its end, for at most `DRAIN_SECONDS`."""
    with contextlib.suppress(Exception):
        await within(DRAIN_SECONDS, _read_all(chunks))


async def _read_all(chunks: AsyncIterator[bytes]) -> None:
    async for _ in chunks:
        pass

"""Chunks of a body, read within the time limits of the call.

A sync read blocks, with the timeout that its phase had at the beginning of the body. `ReadLimit`
lowers the timeout of each read to the remaining time, so a limit passes during a read, and needs no
thread. Between chunks the clock is checked: bytes that are not content do not hold the call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from threading import get_ident
from typing import Any

from friendli._transport import loop
from friendli._transport.clock import CallClock, shorter


class ReadLimit:
    """Limits the reads from the connection of a sync response while its `with` block runs.

    In the block, `read` of the connection's network stream, which httpx and httpx2 show as the
    extension `network_stream`, is this object. The connection may be taken by another thread at the
    end of the body, before the block ends: reads of other threads are not limited.

    Args:
        response: Response of the HTTP client.
        remaining: Returns the remaining time in seconds; None for no limit.
    """

    __slots__ = ("_before", "_network", "_read", "_remaining", "_thread")

    def __init__(self, response: Any, remaining: Callable[[], float | None]) -> None:
        network = getattr(response, "extensions", {}).get("network_stream")
        self._network = network if hasattr(network, "__dict__") else None
        self._remaining = remaining
        self._thread: int | None = None
        self._before: object = None

    @property
    def is_effective(self) -> bool:
        """Whether the connection is known, so that reads can be limited."""
        return self._network is not None

    def __enter__(self) -> ReadLimit:
        network = self._network
        if network is not None:
            self._thread = get_ident()
            self._before = network.__dict__.get("read")
            self._read = network.read
            network.read = self
        return self

    def __call__(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read from the connection, as the network stream does."""
        remaining = self._remaining() if get_ident() == self._thread else None
        data: bytes = self._read(max_bytes, shorter(timeout, remaining))
        return data

    def __exit__(self, *_: object) -> None:
        self._thread = None
        network = self._network
        if network is None or network.__dict__.get("read") is not self:
            return  # another thread limits the connection by now, and calls this ended limit
        if self._before is None:
            del network.read
        else:
            network.read = self._before


class TimedChunks:
    """Sync chunks of a body within the limits of a clock.

    Args:
        chunks: Chunks as the HTTP client returns them.
        response: Response of the HTTP client.
        clock: Clock of the call.
    """

    __slots__ = ("_chunks", "_clock", "_limit")

    def __init__(self, chunks: Iterator[bytes], response: Any, clock: CallClock) -> None:
        self._chunks = chunks
        self._clock = clock
        self._limit = ReadLimit(response, clock.remaining)

    def __iter__(self) -> TimedChunks:
        return self

    def __next__(self) -> bytes:
        self._clock.begin_read()
        with self._limit:
            chunk = next(self._chunks)
        self._clock.end_read()
        return chunk


class TimedChunksAsync:
    """Async chunks of a body within the limits of a clock; as `TimedChunks`."""

    __slots__ = ("_chunks", "_clock")

    def __init__(self, chunks: AsyncIterator[bytes], clock: CallClock) -> None:
        self._chunks = chunks
        self._clock = clock

    def __aiter__(self) -> TimedChunksAsync:
        return self

    async def __anext__(self) -> bytes:
        self._clock.begin_read()
        chunk = await loop.within(self._clock.remaining(), anext(self._chunks))
        self._clock.end_read()
        return chunk


class BoundedBody:
    """Body of a response, read into memory up to a maximum size.

    Args:
        response: Response of the HTTP client.
        max_bytes: Maximum size after content decoding, in bytes.
        clock: Clock of the call, for which every byte of a whole body is content.
    """

    def __init__(self, response: Any, max_bytes: int, clock: CallClock | None) -> None:
        self._response = response
        self._max = max_bytes
        self._clock = clock
        self._data = bytearray()

    def add(self, chunk: bytes) -> bool:
        """Add a chunk and return whether more may follow."""
        self._data += chunk
        if self._clock is not None and chunk:
            self._clock.content()
        return len(self._data) <= self._max

    def finish(self) -> bool:
        """Make the bytes the content of the response; return whether they are all of it."""
        is_whole = len(self._data) <= self._max
        # As `response.read()` does: `content`, `text` and `json()` work afterwards.
        self._response._content = bytes(memoryview(self._data)[: self._max])
        return is_whole

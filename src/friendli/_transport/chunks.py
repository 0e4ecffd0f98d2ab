"""Chunks of a body, read within the time limits of the call.

A sync read blocks. It is limited in two ways: its timeout is the remaining time at the beginning of
the body, and at the deadline a timer shuts the socket down. Between chunks the clock is checked, so
bytes that are not content, which restart the timeout of a read, do not hold the call.

A timer is a thread, which takes longer than a short answer. It starts with the first read that
begins `TIMER_DELAY` after the body: until then, a read ends that much after the deadline at most.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

from friendli._transport import loop
from friendli._transport.clock import CallClock

TIMER_DELAY: Final = 0.05
"""Time from the beginning of a body to the start of its timer, in seconds."""


class TimedChunks:
    """Sync chunks of a body within the limits of a clock.

    Args:
        chunks: Chunks as the HTTP client returns them.
        response: Response of the HTTP client.
        clock: Clock of the call.
    """

    __slots__ = ("_chunks", "_clock", "_response", "_timer", "_timer_start")

    def __init__(self, chunks: Iterator[bytes], response: Any, clock: CallClock) -> None:
        self._chunks = chunks
        self._response = response
        self._clock = clock
        self._timer: threading.Timer | None = None
        self._timer_start = math.inf if clock.deadline is None else -math.inf

    def __iter__(self) -> TimedChunks:
        return self

    def __next__(self) -> bytes:
        now = self._clock.begin_read()
        if now > self._timer_start:
            self._prepare_timer(now)
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self.close()
            # A body without a length ends where its socket is shut down.
            if self._timer is not None and self._clock.passed():
                raise TimeoutError from None
            raise
        self._clock.end_read()
        return chunk

    def _prepare_timer(self, now: float) -> None:
        """Set the start of the timer at the first read; start it at the first read after that."""
        if self._timer_start == -math.inf:
            self._timer_start = now + TIMER_DELAY
            return
        self._timer_start = math.inf
        interrupt = interrupter(self._response)
        if interrupt is not None:
            self._timer = threading.Timer(self._clock.before_deadline() or 0.0, interrupt)
            self._timer.daemon = True
            self._timer.start()

    def close(self) -> None:
        """Stop the timer; call it before another request can use the connection."""
        if self._timer is not None:
            self._timer.cancel()


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


def interrupter(response: Any) -> Callable[[], None] | None:
    """Return a function that ends a blocking read of a response; None if it has no socket."""
    network = getattr(response, "extensions", {}).get("network_stream")
    sock = network.get_extra_info("socket") if network is not None else None
    if sock is None:
        return None

    def interrupt() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    return interrupt

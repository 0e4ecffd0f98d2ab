"""A connection between the front and an engine, and the event loops for its ends."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from friendli_endpoint.engine.remote.wire import FrameReader, hello
from friendli_endpoint.generation.codec import Codec

__all__ = ["EngineConnection", "new_event_loop"]

T = TypeVar("T")


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Returns a new event loop, of uvloop where it is installed.

    With it, the ways from the engine to the front take 41 µs of CPU time per token of 16 streams,
    instead of 58.
    """
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class EngineConnection(asyncio.Protocol, Generic[T]):
    """Sends frames and receives messages; greets the other side first.

    Args:
        codec: Codec of the messages that are received.
        on_messages: Called with the messages of each frame. If it raises, the connection is closed.
        on_lost: Called once when the connection has ended, with the error that ended it, if any.
        secret: Bytes that are sent before the greeting.

    Attributes:
        on_messages: As given; may be replaced.
    """

    def __init__(
        self,
        codec: Codec[tuple[T, ...]],
        on_messages: Callable[[tuple[T, ...]], None],
        on_lost: Callable[[Exception | None], None],
        secret: bytes = b"",
    ) -> None:
        self._reader = FrameReader(codec)
        self.on_messages = on_messages
        self._on_lost = on_lost
        self._secret = secret
        self._transport: asyncio.Transport | None = None
        self._error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Implements `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)
        self.send(self._secret + hello())

    def data_received(self, data: bytes) -> None:
        """Implements `asyncio.Protocol`."""
        try:
            for messages in self._reader.feed(data):
                self.on_messages(messages)
        except Exception as error:
            self._error = error
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Implements `asyncio.Protocol`."""
        self._on_lost(self._error or exc)

    def send(self, frame: bytes) -> None:
        """Sends a frame without waiting; nothing is sent on a connection that has ended."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    def close(self) -> None:
        """Closes the connection at once; frames that are not sent yet are lost."""
        if self._transport is not None:
            self._transport.abort()

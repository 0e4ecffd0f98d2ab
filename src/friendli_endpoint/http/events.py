"""Server-sent events: how chunks, errors and the end of a stream look on the wire."""

import json
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from pydantic_core import to_json
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from friendli.models import StreamedChatData
from friendli_endpoint.http.errors import error_body
from friendli_endpoint.http.service import TextOnlyChunk

__all__ = ["COMMENT", "DONE", "ChunkWriter", "EventStreamResponse", "error_event"]

COMMENT = b": \n\n"
"""Says nothing, and so keeps a waiting client from giving up."""

DONE = b"data: [DONE]\n\n"


class ChunkWriter:
    """Writes the chunks of one answer as events.

    Of text deltas it writes the text into the frame of the first one: building and dumping the
    models of a whole chunk takes a processor, whose caches are full of weights, as long as all the
    rest that is done for a token.

    Args:
        expand: Makes the chunk that a text delta, its choice and its text, is short for.
    """

    def __init__(self, expand: Callable[[int, str], StreamedChatData]) -> None:
        self._expand = expand
        self._frames: dict[int, tuple[bytes, bytes]] = {}

    def write(self, chunk: StreamedChatData | TextOnlyChunk) -> bytes:
        """A chunk as an event."""
        if isinstance(chunk, StreamedChatData):
            return b"data: " + chunk.model_dump_json().encode() + b"\n\n"
        before, after = self._frames.get(chunk.choice) or self._frame(chunk.choice)
        return before + to_json(chunk.text) + after

    def _frame(self, choice: int) -> tuple[bytes, bytes]:
        text = uuid.uuid4().hex  # occurs nowhere else in the event
        before, _, after = self.write(self._expand(choice, text)).partition(to_json(text))
        self._frames[choice] = before, after
        return before, after


def error_event(message: str, code: str | None, status: int = 500) -> bytes:
    """An error in the middle of a stream; its status would be this, had none been sent."""
    return b"data: " + json.dumps(error_body(status, message, code=code)).encode() + b"\n\n"


class EventStreamResponse(StreamingResponse):
    """Sends events, and closes their source whatever way the sending ends.

    Args:
        events: What to send.
        leave: Awaited once when the sending is over, even where it never came to the first event.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes], leave: Callable[[], Awaitable[None]]) -> None:
        super().__init__(events, headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        self._events = events
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until the events end or the client is gone."""
        try:
            async with aclosing(self._events):
                await super().__call__(scope, receive, send)
        finally:
            await self._leave()

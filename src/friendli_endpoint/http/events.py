"""Server-sent events: chunks, errors and the end of a stream as bytes."""

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
"""An SSE comment; it keeps a waiting client from timing out."""

DONE = b"data: [DONE]\n\n"


_UNBUFFERED = {"cache-control": "no-cache, no-store, no-transform", "x-accel-buffering": "no"}
"""Headers that keep proxies from storing, compressing or buffering a stream."""


class ChunkWriter:
    """Serializes the chunks of one response as events.

    For a text delta, only the text is serialized and inserted into the event of an earlier chunk of
    the choice: building and dumping the models of a whole chunk takes as long as all other work for
    a token, as the processor's caches are full of weights.

    Args:
        expand: Returns the full chunk of a text delta, from the index of its choice and its text.
    """

    def __init__(self, expand: Callable[[int, str], StreamedChatData]) -> None:
        self._expand = expand
        self._frames: dict[int, tuple[bytes, bytes]] = {}

    def write(self, chunk: StreamedChatData | TextOnlyChunk) -> bytes:
        """Returns a chunk as an event."""
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
    """Returns an error in the middle of a stream; `status` selects its type.

    The response itself has been sent with status 200.
    """
    return b"data: " + json.dumps(error_body(status, message, code=code)).encode() + b"\n\n"


class EventStreamResponse(StreamingResponse):
    """Sends events, and closes their generator however the sending ends.

    Args:
        events: Events as bytes.
        on_end: Awaited once when the sending has ended, even before the first event.
    """

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncGenerator[bytes], on_end: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(events, headers=_UNBUFFERED)
        self._events = events
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until the events end or the client disconnects."""
        try:
            async with aclosing(self._events):
                await super().__call__(scope, receive, send)
        finally:
            await self._on_end()

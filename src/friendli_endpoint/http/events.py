"""Server-sent events: how chunks, errors and the end of a stream look on the wire."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from friendli.models import StreamedChatData
from friendli_endpoint.http.errors import error_body

__all__ = ["COMMENT", "DONE", "EventStreamResponse", "chunk_event", "error_event"]

COMMENT = b": \n\n"
"""Says nothing, and so keeps a waiting client from giving up."""

DONE = b"data: [DONE]\n\n"


def chunk_event(chunk: StreamedChatData) -> bytes:
    """A chunk as an event."""
    return b"data: " + chunk.model_dump_json().encode() + b"\n\n"


def error_event(message: str, code: str | None, status: int = 500) -> bytes:
    """An error in the middle of a stream; its status would be this, had none been sent."""
    return b"data: " + json.dumps(error_body(status, message, code=code)).encode() + b"\n\n"


class EventStreamResponse(StreamingResponse):
    """Sends events, and closes their source whatever way the sending ends.

    Args:
        events: What to send.
        leave: Called once when the sending is over, even where it never came to the first event.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes], leave: Callable[[], None]) -> None:
        super().__init__(events, headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        self._events = events
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until the events end or the client is gone."""
        try:
            async with aclosing(self._events):
                await super().__call__(scope, receive, send)
        finally:
            self._leave()

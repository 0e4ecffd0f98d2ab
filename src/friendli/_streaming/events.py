"""Parsing of the events of a chat stream: typed chunks, errors, and `[DONE]`.

Shared by the sync and the async stream; no I/O.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import pydantic

from friendli._errors import (
    ResponseValidationError,
    StreamError,
    StreamIncompleteError,
    describe,
    too_large_error,
)
from friendli._streaming.accumulate import Accumulator
from friendli._streaming.sse import Event, SSEDecoder
from friendli._text import parse_json
from friendli._transport.clock import CallClock
from friendli.models.chunk import ContainerChatCompletionStreamSuccess, StreamedChatData
from friendli.models.completion import ContainerChatCompleteSuccess

_chunk = StreamedChatData.__pydantic_validator__.validate_json
_wrap = ContainerChatCompletionStreamSuccess.__pydantic_validator__.validate_python


class EventReader:
    """Parser of the events of one stream.

    Args:
        response: Response of the HTTP client, for errors.
        where: Method and URL, without secrets.
        max_event: Maximum size of one event, in bytes.
        clock: Clock of the call, which events with content restart.

    Attributes:
        done: Whether `[DONE]` has been read; later events are ignored.
    """

    __slots__ = (
        "_accumulator",
        "_clock",
        "_decoder",
        "_events",
        "_max_event",
        "_response",
        "_where",
        "done",
    )

    def __init__(
        self, response: Any, where: str, max_event: int, clock: CallClock | None = None
    ) -> None:
        self._response = response
        self._where = where
        self._clock = clock
        self._max_event = max_event
        self._decoder = SSEDecoder(max_event)
        self._events: deque[Event] = deque()
        self._accumulator = Accumulator()
        self.done = False

    def feed(self, chunk: bytes) -> None:
        """Add bytes of the body; bytes after `[DONE]` are ignored."""
        if not self.done:
            self._events.extend(self._decoder.feed(chunk))

    def next(self) -> ContainerChatCompletionStreamSuccess | None:
        """Return the next result, or None if more bytes are needed or the stream is `done`.

        Raises:
            StreamError: The server reported an error.
            ResponseValidationError: An event is invalid.
            ResponseTooLargeError: An event exceeds the maximum size.
        """
        events = self._events
        while events:
            event = events.popleft()
            if event.data == b"[DONE]":
                self.done = True
                events.clear()
                return None
            if not event.data:
                continue
            try:
                chunk = _chunk(event.data)
            except pydantic.ValidationError as cause:
                self._raise_error(event, cause)
                continue
            extra = chunk.__pydantic_extra__
            if event.name == "error" or (extra and "error" in extra):
                self._raise_error(event, None)
            self._accumulator.add(chunk)
            if self._clock is not None and has_content(chunk):
                self._clock.content()
            result: ContainerChatCompletionStreamSuccess = _wrap({"data": chunk})
            return result
        if self._decoder.too_large:
            raise too_large_error(
                self._response, "an event", "max_event_bytes", self._max_event, self._where
            )
        return None

    def completion(self) -> ContainerChatCompleteSuccess | None:
        """Return the answer accumulated so far, or None if there was no event."""
        try:
            return self._accumulator.completion()
        except ValueError:
            return None

    def final_completion(self) -> ContainerChatCompleteSuccess:
        """Return the whole answer.

        Raises:
            StreamIncompleteError: The stream ended before every choice had a finish_reason.
        """
        completion = self.completion()
        if completion is None:
            raise StreamIncompleteError(f"the stream contained no event\n{self._where}.")
        unfinished = self._accumulator.unfinished()
        if unfinished or not completion.choices:
            reason = f"choices {unfinished} have no finish_reason" if unfinished else "no choices"
            raise StreamIncompleteError(
                f"the stream ended early: {reason}\n{self._where}.", completion
            )
        return completion

    def _raise_error(self, event: Event, cause: pydantic.ValidationError | None) -> None:
        """Raise the error of an event that is not a chunk; return if it is to be ignored."""
        text = event.data.decode()
        parsed = parse_json(text)
        is_error = event.name == "error" or (isinstance(parsed, dict) and parsed.get("error"))
        if is_error:
            message = f"The server reported an error in mid-stream: {_error_text(parsed, text)}"
            raise StreamError(
                describe(message, self._response, text, self._where), self._response, text
            )
        if cause is None or event.name not in ("", "message"):
            return  # an event type that later servers may add
        raise ResponseValidationError(
            describe(f"Response validation failed: {cause}\n", self._response, text, self._where),
            self._response,
            cause,
            text,
        )


def has_content(chunk: StreamedChatData) -> bool:
    """Return whether a chunk shows progress of the answer: it is not an empty keep-alive.

    Content is text, a tool call, an unknown field of a delta with a value, a finish_reason, or
    usage. The role alone is not: servers send it before they begin.
    """
    for choice in chunk.choices:
        delta = choice.delta
        if (
            delta.content
            or delta.reasoning_content
            or delta.tool_calls
            or choice.finish_reason
            or any((delta.__pydantic_extra__ or {}).values())
        ):
            return True
    return bool(chunk.usage)


def _error_text(parsed: Any, text: str) -> str:
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    if isinstance(error, dict):
        code = error.get("code")
        message = str(error.get("message") or error)
        return f"{message} (code {code})" if code is not None else message
    return str(error or text)

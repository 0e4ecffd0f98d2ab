"""Meaning of the events of a chat stream: payloads in, results out; errors and the end recognised.

Shared by the sync and the async stream; knows no network.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pydantic

from friendli._errors import (
    ResponseValidationError,
    StreamError,
    StreamIncompleteError,
    describe,
)
from friendli._streaming.accumulate import Accumulator
from friendli._streaming.sse import Event, SSEDecoder
from friendli.models.chunk import ContainerChatCompletionStreamSuccess, StreamedChatData
from friendli.models.completion import ContainerChatCompleteSuccess

_chunk = StreamedChatData.__pydantic_validator__.validate_json
_wrap = ContainerChatCompletionStreamSuccess.__pydantic_validator__.validate_python


class EventReader:
    """Reads the events of one stream.

    Args:
        response: The transport's response, for errors.
        where: Method and URL, without secrets.
        max_event: Bound on one event, in bytes.

    Attributes:
        done: `[DONE]` has been read: nothing after it counts.
    """

    __slots__ = ("_accumulator", "_decoder", "_events", "_response", "_where", "done")

    def __init__(self, response: Any, where: str, max_event: int) -> None:
        self._response = response
        self._where = where
        self._decoder = SSEDecoder(max_event)
        self._events: deque[Event] = deque()
        self._accumulator = Accumulator()
        self.done = False

    def feed(self, chunk: bytes) -> None:
        """Take bytes of the body; those after `[DONE]` count for nothing."""
        if not self.done:
            self._events.extend(self._decoder.feed(chunk))

    def next(self) -> ContainerChatCompletionStreamSuccess | None:
        """Give the next result, or None if more bytes are needed or `done`.

        Raises:
            StreamError: The server reported an error.
            ResponseValidationError: An event is not what the stream should carry, or too large.
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
                self._refuse(event, cause)
                continue
            extra = chunk.__pydantic_extra__
            if event.name == "error" or (extra and "error" in extra):
                self._refuse(event, None)
            self._accumulator.add(chunk)
            result: ContainerChatCompletionStreamSuccess = _wrap({"data": chunk})
            return result
        if self._decoder.too_large:
            message = "Response validation failed: an event is larger than the client's bound"
            raise ResponseValidationError(
                describe(message, self._response, "", self._where), self._response, ValueError(), ""
            )
        return None

    def completion(self) -> ContainerChatCompleteSuccess | None:
        """Give the answer that the events so far add up to; None where there was no event."""
        try:
            return self._accumulator.completion()
        except ValueError:
            return None

    def final_completion(self) -> ContainerChatCompleteSuccess:
        """Give the whole answer.

        Raises:
            StreamIncompleteError: The stream ended before every choice had a finish_reason.
        """
        completion = self.completion()
        if completion is None:
            raise StreamIncompleteError(f"the stream carried no event\n{self._where}.")
        open_ = self._accumulator.unfinished()
        if open_ or not completion.choices:
            what = f"choices {open_} have" if open_ else "there is"
            raise StreamIncompleteError(
                f"the stream ended early: {what} no finish_reason\n{self._where}.", completion
            )
        return completion

    def _refuse(self, event: Event, cause: pydantic.ValidationError | None) -> None:
        """Raise the error that an event stands for; return if it is to be passed over."""
        text = event.data.decode()
        try:
            parsed: Any = json.loads(text)
        except ValueError:
            parsed = None
        is_error = event.name == "error" or (isinstance(parsed, dict) and parsed.get("error"))
        if is_error:
            message = f"The server reported an error in mid-stream: {_said(parsed, text)}"
            raise StreamError(
                describe(message, self._response, text, self._where), self._response, text
            )
        if cause is None or event.name not in ("", "message"):
            return  # an event of a kind that later servers may add
        raise ResponseValidationError(
            describe(f"Response validation failed: {cause}\n", self._response, text, self._where),
            self._response,
            cause,
            text,
        )


def _said(parsed: Any, text: str) -> str:
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    if isinstance(error, dict):
        code = error.get("code")
        message = str(error.get("message") or error)
        return f"{message} (code {code})" if code is not None else message
    return str(error or text)

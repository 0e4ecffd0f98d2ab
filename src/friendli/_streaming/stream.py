"""Streams of a chat answer: sync and async iterators over an `EventReader`.

The connection is released however a stream ends: exhausted, left early, by an exception, closed,
garbage-collected, or with its task cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar

from friendli._streaming.drain import drain, drain_async
from friendli._streaming.events import EventReader
from friendli._transport.chunks import TimedChunks, TimedChunksAsync
from friendli._transport.loop import close_response, current_run, run_later
from friendli._transport.network import network_error
from friendli._transport.request import Request
from friendli.models.completion import ContainerChatCompleteSuccess

T_co = TypeVar("T_co", covariant=True)


class _Stream(Generic[T_co]):
    """Common base of both streams."""

    def __init__(self, response: Any, client_ref: Any = None, *, request: Request) -> None:
        self.response = response
        self.client_ref = client_ref
        self._request = request
        call = request.call
        self._reader = EventReader(response, call.where, call.max_event, call.clock)
        self._closed = False

    @property
    def request_id(self) -> str | None:
        """Value of the header `x-request-id`, or None."""
        value: str | None = self.response.headers.get("x-request-id")
        return value

    def _convert_error(self, cause: BaseException) -> BaseException:
        """Return the error to raise, and end the span with it."""
        call = self._request.call
        error = network_error(cause, call.where, call.clock) or cause
        self._request.end(None, error)
        return error

    def _mark_closed(self) -> bool:
        """Mark the stream as closed; return False if it was closed already."""
        if self._closed:
            return False
        self._closed = True
        if self._request.trace is not None:
            self._request.end(self._reader.completion())
        return True

    def _finish(self) -> ContainerChatCompleteSuccess:
        return self._request.finish(self._reader.final_completion(), self.response)

    def _is_decoded_by_the_response(self) -> bool:
        """Whether the raw bytes would be compressed, or were read before, by a hook or a mock."""
        is_read: bool = getattr(self.response, "is_stream_consumed", False)
        return is_read or "content-encoding" in self.response.headers


class EventStream(_Stream[T_co]):
    """Stream of the events of an answer.

    Usage:

        with friendli.dedicated.chat.stream(model="e", messages=messages) as stream:
            for event in stream:
                ...

    Leaving the block closes the connection. A stream is an iterator: it can be read once.

    Iteration raises `friendli.StreamError` if the server reports an error,
    `friendli.ResponseValidationError` if an event is invalid or too large, and
    `friendli.NetworkError` if the connection fails or a limit of time passes.

    Attributes:
        response: Response of the HTTP client.
    """

    def __init__(self, response: Any, client_ref: Any = None, *, request: Request) -> None:
        super().__init__(response, client_ref, request=request)
        is_decoded = self._is_decoded_by_the_response()
        chunks = response.iter_bytes() if is_decoded else response.iter_raw()
        clock = request.call.clock
        self._chunks: Iterator[bytes] = (
            chunks if clock is None else TimedChunks(chunks, response, clock)
        )

    @property
    def generator(self) -> Iterator[T_co]:
        """The stream itself, for programs for the published client."""
        return self

    def __iter__(self) -> EventStream[T_co]:
        return self

    def __next__(self) -> T_co:
        reader = self._reader
        try:
            while not self._closed:
                result: Any = reader.next()
                if result is not None:
                    return result  # type: ignore[no-any-return]
                if reader.done:
                    drain(self.response, self._chunks)
                    break
                reader.feed(next(self._chunks))
        except StopIteration:
            pass
        except BaseException as cause:
            error = self._convert_error(cause)
            self.close()
            if error is not cause:
                raise error from cause
            raise
        self.close()
        raise StopIteration

    def __enter__(self) -> EventStream[T_co]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_closed", True) is False:
            self.close()

    def close(self) -> None:
        """Release the connection; further iteration ends immediately."""
        if self._mark_closed():
            self.response.close()

    @property
    def text_deltas(self) -> Iterator[str]:
        """Content deltas of the first choice that are not empty."""
        for event in self:
            text = _text_of(event)
            if text:
                yield text

    def until_done(self) -> EventStream[T_co]:
        """Read the stream to its end and return it."""
        for _ in self:
            pass
        return self

    def get_final_completion(self) -> ContainerChatCompleteSuccess:
        """Read the stream to its end and return the whole answer.

        Returns:
            A `friendli.models.ContainerChatCompleteSuccess`; a `friendli.ParsedCompletion` if
            `response_format` was a type.

        Raises:
            friendli.StreamIncompleteError: The stream ended, or was closed, before every choice had
                a finish_reason.
            friendli.AnswerNotParsedError: The answer does not match the type `response_format`.
        """
        self.until_done()
        return self._finish()


class EventStreamAsync(_Stream[T_co]):
    """Async stream of the events of an answer; as `EventStream`, with `async with` and `async for`.

    Attributes:
        response: Response of the HTTP client.
    """

    def __init__(self, response: Any, client_ref: Any = None, *, request: Request) -> None:
        super().__init__(response, client_ref, request=request)
        self._run = current_run()
        is_decoded = self._is_decoded_by_the_response()
        chunks = response.aiter_bytes() if is_decoded else response.aiter_raw()
        clock = request.call.clock
        self._body: AsyncIterator[bytes] = chunks
        self._chunks: AsyncIterator[bytes] = (
            chunks if clock is None else TimedChunksAsync(chunks, clock)
        )

    @property
    def generator(self) -> AsyncIterator[T_co]:
        """The stream itself, for programs for the published client."""
        return self

    def __aiter__(self) -> EventStreamAsync[T_co]:
        return self

    async def __anext__(self) -> T_co:
        reader = self._reader
        try:
            while not self._closed:
                result: Any = reader.next()
                if result is not None:
                    return result  # type: ignore[no-any-return]
                if reader.done:
                    await drain_async(self._chunks)
                    break
                reader.feed(await anext(self._chunks))
        except StopAsyncIteration:
            pass
        except BaseException as cause:
            error = self._convert_error(cause)
            await self.close()
            if error is not cause:
                raise error from cause
            raise
        await self.close()
        raise StopAsyncIteration

    async def __aenter__(self) -> EventStreamAsync[T_co]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if getattr(self, "_closed", True) is False and self._mark_closed():
            run_later(self._run, partial(close_response, self.response, self._body))

    async def close(self) -> None:
        """Release the connection; further iteration ends immediately."""
        if self._mark_closed():
            await close_response(self.response, self._body)

    @property
    async def text_deltas(self) -> AsyncIterator[str]:
        """Content deltas of the first choice that are not empty."""
        async for event in self:
            text = _text_of(event)
            if text:
                yield text

    async def until_done(self) -> EventStreamAsync[T_co]:
        """Read the stream to its end and return it."""
        async for _ in self:
            pass
        return self

    async def get_final_completion(self) -> ContainerChatCompleteSuccess:
        """Read the stream to its end and return the whole answer.

        Returns:
            A `friendli.models.ContainerChatCompleteSuccess`; a `friendli.ParsedCompletion` if
            `response_format` was a type.

        Raises:
            friendli.StreamIncompleteError: The stream ended, or was closed, before every choice had
                a finish_reason.
            friendli.AnswerNotParsedError: The answer does not match the type `response_format`.
        """
        await self.until_done()
        return self._finish()


def _text_of(event: Any) -> Any:
    for choice in event.data.choices:
        if choice.index == 0:
            return choice.delta.content
    return None

"""Sends the response to one chat completion: as a stream, as a whole, or as an error."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from friendli.models import StreamedChatData
from friendli_endpoint.generation import EngineError, Event, RequestError
from friendli_endpoint.http.disconnect import run_until_disconnect
from friendli_endpoint.http.errors import error_response
from friendli_endpoint.http.events import (
    COMMENT,
    DONE,
    ChunkWriter,
    EventStreamResponse,
    error_event,
)
from friendli_endpoint.http.limits.deadline import timeout_error
from friendli_endpoint.http.service import PendingResponse, TextOnlyChunk
from friendli_endpoint.telemetry import RequestRecord, Telemetry

__all__ = ["ResponseSender"]

log = logging.getLogger("friendli_endpoint.http")

ENGINE_FAILURE = "engine_failure"
INTERNAL_ERROR = "internal_error"

KEEP_ALIVE_SECONDS = 2.0
"""Seconds without an event after which a comment is sent: some clients give up after 5 s."""


class ResponseSender:
    """Sends the response to one request that the engine runs.

    Args:
        pending: The prepared request, which builds chunks and completion from events.
        events: Events of the engine for this request.
        cancel: Called once at the end; cancels the request if the engine still runs it.
        record: Record of the request for metrics, traces and the log.
        telemetry: Receives every event.
        deadline: Deadline of the whole response in seconds of the event loop's clock; None for no
            deadline.
        add_tokens: Called with the number of tokens that each event generated.
    """

    def __init__(
        self,
        pending: PendingResponse,
        events: AsyncIterator[Event],
        cancel: Callable[[], Awaitable[None]],
        record: RequestRecord,
        telemetry: Telemetry,
        deadline: float | None = None,
        add_tokens: Callable[[int], None] = lambda _tokens: None,
    ) -> None:
        self._pending = pending
        self._events = events
        self._cancel = cancel
        self._record = record
        self._telemetry = telemetry
        self._deadline = deadline
        self._add_tokens = add_tokens
        self._loop = asyncio.get_running_loop()

    def stream(self) -> Response:
        """Returns a response of server-sent events; cancels the request if the client leaves."""
        return EventStreamResponse(self._chunks(), self._end_stream)

    async def _chunks(self) -> AsyncGenerator[bytes]:
        writer = ChunkWriter(self._pending.text_chunk)
        for chunk in self._pending.opening():
            yield writer.write(chunk)
        while not self._pending.finished:
            if self._is_late:
                timeout = self._timeout_error()
                yield error_event(timeout.message, timeout.code, timeout.status)
                return
            try:
                event = await self._next_event(KEEP_ALIVE_SECONDS)
                if event is None:
                    if not self._is_late:
                        yield COMMENT
                    continue
                chunks = self._read(event)
            except EngineError as error:
                self._record.end(ENGINE_FAILURE)
                yield error_event(error.message, ENGINE_FAILURE)
                return
            except Exception:
                log.exception("request %s failed", self._pending.request.request_id)
                self._record.end(INTERNAL_ERROR)
                yield error_event("internal error; see the endpoint's log", INTERNAL_ERROR)
                return
            if chunks:
                yield b"".join(map(writer.write, chunks))
        yield DONE

    async def whole(self, request: Request) -> Response:
        """Returns the whole completion; cancels the request if the client disconnects.

        Raises:
            RequestError: 504 when the deadline has passed.
        """
        try:
            async with asyncio.timeout_at(self._deadline):
                return await run_until_disconnect(request, self._complete())
        except TimeoutError:
            raise self._timeout_error() from None
        except ClientDisconnect:
            return Response(status_code=499)
        finally:
            await self._cancel()

    async def _complete(self) -> Response:
        self._pending.opening()
        try:
            async for event in self._events:
                self._read(event)
        except EngineError as error:
            self._record.end(ENGINE_FAILURE)
            return error_response(500, error.message, code=ENGINE_FAILURE)
        body = self._pending.completion().model_dump_json()
        return Response(body, media_type="application/json")

    @property
    def _is_late(self) -> bool:
        return self._deadline is not None and self._loop.time() >= self._deadline

    async def _next_event(self, seconds: float) -> Event | None:
        """Returns the next event, or None if none comes within `seconds` or before the deadline."""
        until = self._loop.time() + seconds
        try:
            async with asyncio.timeout_at(min(until, self._deadline or until)):
                return await anext(self._events)
        except TimeoutError:
            return None

    def _read(self, event: Event) -> Sequence[StreamedChatData | TextOnlyChunk]:
        before = self._pending.num_generated
        chunks = self._pending.read(event)
        num_tokens = self._pending.num_generated - before
        self._add_tokens(num_tokens)
        self._telemetry.record_event(self._record, event, num_tokens)
        if self._pending.finished:
            self._record.end(_last_finish_reason(chunks))
        return chunks

    def _timeout_error(self) -> RequestError:
        error = timeout_error()
        self._record.end_with_error(error)
        return error

    async def _end_stream(self) -> None:
        """Ends the stream; if nothing else has ended it, the client has disconnected."""
        self._record.end("cancelled")
        await self._cancel()


def _last_finish_reason(chunks: Sequence[StreamedChatData | TextOnlyChunk]) -> str:
    """Returns the finish reason of the choice that finished last."""
    whole = (chunk for chunk in reversed(chunks) if isinstance(chunk, StreamedChatData))
    choices = (choice for chunk in whole for choice in reversed(chunk.choices))
    return next((choice.finish_reason for choice in choices if choice.finish_reason), "stop")

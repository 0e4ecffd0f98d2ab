"""The answer to one request: streamed or whole, or given up."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from friendli.models import StreamedChatData
from friendli_endpoint.generation import EngineError, Event, RequestError
from friendli_endpoint.http.errors import error_response
from friendli_endpoint.http.events import (
    COMMENT,
    DONE,
    ChunkWriter,
    EventStreamResponse,
    error_event,
)
from friendli_endpoint.http.limits.deadline import too_late
from friendli_endpoint.http.service import PendingResponse, TextOnlyChunk
from friendli_endpoint.telemetry import RequestRecord, Telemetry

__all__ = ["Answering"]

log = logging.getLogger("friendli_endpoint.http")

ENGINE_FAILURE = "engine_failure"
INTERNAL_ERROR = "internal_error"

SILENCE_SECONDS = 2.0
"""After so long without an event a comment goes out: some clients give up after 5 s."""


class Answering:
    """One exchange on its way; the engine has taken its request.

    Args:
        exchange: The accepted request.
        events: What the engine tells of it.
        cancel: Called once at the end: the request is no longer wanted.
        record: What is written down of it.
        telemetry: Hears what the engine tells.
        deadline: When it must be answered, by the event loop's clock; None is never.
        spend: Told how many tokens have been generated.
    """

    def __init__(
        self,
        exchange: PendingResponse,
        events: AsyncIterator[Event],
        cancel: Callable[[], Awaitable[None]],
        record: RequestRecord,
        telemetry: Telemetry,
        deadline: float | None = None,
        spend: Callable[[int], None] = lambda _tokens: None,
    ) -> None:
        self._exchange = exchange
        self._events = events
        self._cancel = cancel
        self._record = record
        self._telemetry = telemetry
        self._deadline = deadline
        self._spend = spend
        self._loop = asyncio.get_running_loop()

    def stream(self) -> Response:
        """The answer as server-sent events; cancels the request if left early."""
        return EventStreamResponse(self._chunks(), self._leave)

    async def _chunks(self) -> AsyncGenerator[bytes]:
        writer = ChunkWriter(self._exchange.text_chunk)
        for chunk in self._exchange.opening():
            yield writer.write(chunk)
        while not self._exchange.finished:
            if self._is_late:
                late = self._too_late()
                yield error_event(late.message, late.code, late.status)
                return
            try:
                event = await self._next(SILENCE_SECONDS)
                if event is None:
                    if not self._is_late:
                        yield COMMENT
                    continue
                chunks = self._read(event)
            except EngineError as failure:
                self._record.end(ENGINE_FAILURE)
                yield error_event(failure.message, ENGINE_FAILURE)
                return
            except Exception:
                log.exception("request %s failed", self._exchange.request.request_id)
                self._record.end(INTERNAL_ERROR)
                yield error_event("the endpoint failed; it has logged why", INTERNAL_ERROR)
                return
            if chunks:
                yield b"".join(map(writer.write, chunks))
        yield DONE

    async def whole(self, request: Request) -> Response:
        """The whole answer; cancels the request if the client goes away."""
        gathering = asyncio.ensure_future(self._gather())
        leaving = asyncio.ensure_future(_disconnected(request))
        try:
            left = None if self._deadline is None else self._deadline - self._loop.time()
            either = {gathering, leaving}
            await asyncio.wait(either, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if gathering.done():
                return gathering.result()
            if leaving.done():
                return Response(status_code=499)
            raise self._too_late()
        finally:
            leaving.cancel()
            gathering.cancel()
            await self._cancel()

    async def _gather(self) -> Response:
        self._exchange.opening()
        try:
            async for event in self._events:
                self._read(event)
        except EngineError as failure:
            self._record.end(ENGINE_FAILURE)
            return error_response(500, failure.message, code=ENGINE_FAILURE)
        body = self._exchange.completion().model_dump_json()
        return Response(body, media_type="application/json")

    @property
    def _is_late(self) -> bool:
        return self._deadline is not None and self._loop.time() >= self._deadline

    async def _next(self, seconds: float) -> Event | None:
        """The next event; None where none comes for so long, or before the deadline."""
        until = self._loop.time() + seconds
        try:
            async with asyncio.timeout_at(min(until, self._deadline or until)):
                return await anext(self._events)
        except TimeoutError:
            return None

    def _read(self, event: Event) -> Sequence[StreamedChatData | TextOnlyChunk]:
        before = self._exchange.num_generated
        chunks = self._exchange.read(event)
        num_tokens = self._exchange.num_generated - before
        self._spend(num_tokens)
        self._telemetry.heard(self._record, event, num_tokens)
        if self._exchange.finished:
            self._record.end(_last_finish(chunks))
        return chunks

    def _too_late(self) -> RequestError:
        late = too_late()
        self._record.refuse(late)
        return late

    async def _leave(self) -> None:
        """The stream is over; where nothing has ended it, the client has."""
        self._record.end("cancelled")
        await self._cancel()


def _last_finish(chunks: Sequence[StreamedChatData | TextOnlyChunk]) -> str:
    """Why the choice ended that ended last."""
    whole = (chunk for chunk in reversed(chunks) if isinstance(chunk, StreamedChatData))
    choices = (choice for chunk in whole for choice in reversed(chunk.choices))
    return next((choice.finish_reason for choice in choices if choice.finish_reason), "stop")


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

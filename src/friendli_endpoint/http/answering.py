"""From the engine's thread to the client: an exchange run, streamed or whole, or given up."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from friendli.models import StreamedChatData
from friendli_endpoint.generation import Engine, Failure, Message, Refusal, Started, TokenStep
from friendli_endpoint.http.deadline import too_late
from friendli_endpoint.http.errors import error_response
from friendli_endpoint.http.events import (
    COMMENT,
    DONE,
    ChunkWriter,
    EventStreamResponse,
    error_event,
)
from friendli_endpoint.http.service import Exchange, TextDelta
from friendli_endpoint.telemetry import Passage, Telemetry

__all__ = ["Answering"]

log = logging.getLogger("friendli_endpoint.http")

ENGINE_FAILURE = "engine_failure"
INTERNAL_ERROR = "internal_error"

SILENCE_SECONDS = 2.0
"""After so long without an event a comment goes out: some clients give up after 5 s."""


MOST_HELD = 32
"""Steps of a whole answer that the event loop is woken for: nobody waits for each."""


class Answering:
    """One exchange on its way; it is submitted when this is made.

    Args:
        engine: Where the tokens come from.
        exchange: The accepted request.
        passage: What is written down of it.
        telemetry: Hears what the engine tells.
        deadline: When it must be answered, by the event loop's clock; None is never.
        spend: Told how many tokens have been generated.

    Raises:
        Refusal: The engine takes no more work.
    """

    def __init__(
        self,
        engine: Engine,
        exchange: Exchange,
        passage: Passage,
        telemetry: Telemetry,
        deadline: float | None = None,
        spend: Callable[[int], None] = lambda _tokens: None,
    ) -> None:
        self._engine = engine
        self._exchange = exchange
        self._passage = passage
        self._telemetry = telemetry
        self._deadline = deadline
        self._spend = spend
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._held: list[TokenStep] = []
        self._over = False
        engine.submit(exchange.request, self._deliver)
        telemetry.submitted(passage)

    def stream(self) -> Response:
        """The answer as server-sent events; cancels the request if left early."""
        return EventStreamResponse(self._events(), self._leave)

    async def _events(self) -> AsyncGenerator[bytes]:
        writer = ChunkWriter(self._exchange.text_chunk)
        for chunk in self._exchange.opening():
            yield writer.write(chunk)
        while not self._exchange.finished:
            if self._is_late:
                late = self._too_late()
                yield error_event(late.message, late.code, late.status)
                return
            message = await self._next(SILENCE_SECONDS)
            if message is None:
                if not self._is_late:
                    yield COMMENT
                continue
            if isinstance(message, Failure):
                self._fail()
                yield error_event(message.message, ENGINE_FAILURE)
                return
            try:
                chunks = self._read(message)
            except Exception:
                log.exception("request %s failed", self._exchange.request.request_id)
                self._passage.end(INTERNAL_ERROR)
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
            self._give_up()

    async def _gather(self) -> Response:
        self._exchange.opening()
        while not self._exchange.finished:
            message = await self._inbox.get()
            if isinstance(message, Failure):
                self._fail()
                return error_response(500, message.message, code=ENGINE_FAILURE)
            self._read(message)
        body = self._exchange.completion().model_dump_json()
        return Response(body, media_type="application/json")

    @property
    def _is_late(self) -> bool:
        return self._deadline is not None and self._loop.time() >= self._deadline

    async def _next(self, seconds: float) -> Message | None:
        """What comes next; None where nothing comes for so long, or before the deadline."""
        until = self._loop.time() + seconds
        try:
            async with asyncio.timeout_at(min(until, self._deadline or until)):
                return await self._inbox.get()
        except TimeoutError:
            return None

    def _read(
        self, message: Sequence[TokenStep] | Started
    ) -> Sequence[StreamedChatData | TextDelta]:
        if not isinstance(message, Started):
            self._spend(sum(step.token_id is not None for step in message))
        chunks = self._exchange.read(message)
        if self._exchange.finished:
            self._passage.end(_last_finish(chunks))
        return chunks

    def _deliver(self, message: Message) -> None:
        """Called by the engine's thread, maybe after the event loop has gone."""
        self._telemetry.heard(self._passage, message)
        if not (self._exchange.stream or isinstance(message, (Started, Failure))):
            self._held += message
            if len(self._held) < MOST_HELD and all(step.finish is None for step in message):
                return
            message, self._held = self._held, []
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._inbox.put_nowait, message)

    def _too_late(self) -> Refusal:
        late = too_late()
        self._passage.refuse(late)
        return late

    def _fail(self) -> None:
        """The engine will tell no more."""
        self._over = True
        self._passage.end(ENGINE_FAILURE)

    def _leave(self) -> None:
        """The stream is over; where nothing has ended it, the client has."""
        self._passage.end("cancelled")
        self._give_up()

    def _give_up(self) -> None:
        if not (self._over or self._exchange.finished):
            self._over = True
            self._engine.cancel(self._exchange.request.request_id)


def _last_finish(chunks: Sequence[StreamedChatData | TextDelta]) -> str:
    """What the choice ended with that ended last."""
    whole = (chunk for chunk in reversed(chunks) if isinstance(chunk, StreamedChatData))
    choices = (choice for chunk in whole for choice in reversed(chunk.choices))
    return next((each.finish_reason for each in choices if each.finish_reason), "stop")


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

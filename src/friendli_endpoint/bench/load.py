"""One streamed request, timed: bytes with their times now, their meaning when the round is over.

The client shares the processors with the servers, so it keeps what comes and reads it afterwards.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx2

from friendli_endpoint.bench.wire import Address, BenchError, Request, body

__all__ = ["Answer", "Ask", "Reception", "connect", "read"]

BEGUN_EVENTS = 8
"""Events after which a stream is under way."""

SECONDS = 900.0
"""How long a server may be silent: as long as it may take to prefill everything before it."""

PAYLOADS = (b"data: {", b"data:{")


@dataclass(slots=True, eq=False)
class Reception:
    """What has come of an answer so far.

    Attributes:
        request: What was asked.
        sent: When, in seconds of `time.perf_counter`.
        pieces: Bytes as they came, each with its time.
        begun: Set when the stream is under way.
    """

    request: Request
    sent: float = 0.0
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    _events: int = 0

    def take(self, piece: bytes) -> None:
        """Keeps a piece with its time."""
        self.pieces.append((time.perf_counter(), piece))
        if self._events < BEGUN_EVENTS:
            self._events += piece.count(b"data:")
            if self._events >= BEGUN_EVENTS:
                self.begun.set()


Ask: TypeAlias = Callable[[Reception], Awaitable[None]]
"""Sends the reception's request and fills it; raises `BenchError` where the server refuses."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came.

    Attributes:
        sent: When the request was, in seconds of `time.perf_counter`.
        times: By choice: when each event with text came.
        texts: By choice.
        finishes: By choice: why it ended; absent for one that was given up.
        prompt_tokens: By the server's count, or None.
        tokens: Generated for all choices together, by the server's count, or None.
    """

    sent: float
    times: dict[int, list[float]]
    texts: dict[int, str]
    finishes: dict[int, str]
    prompt_tokens: int | None
    tokens: int | None

    @property
    def last(self) -> float:
        """When its last text came."""
        return max(times[-1] for times in self.times.values())


def connect(client: httpx2.AsyncClient, address: Address) -> Ask:
    """A way to ask this server."""
    headers = {"content-type": "application/json", "accept-encoding": "identity"}
    if address.token:
        headers["authorization"] = f"Bearer {address.token}"

    async def ask(reception: Reception) -> None:
        content = body(reception.request, address)
        reception.sent = time.perf_counter()
        try:
            async with client.stream(
                "POST", address.url, content=content, headers=headers, timeout=SECONDS
            ) as response:
                if response.status_code != httpx2.codes.OK:
                    said = (await response.aread()).decode(errors="replace")[:300]
                    raise BenchError(f"{address.name} answers {response.status_code}: {said}")
                async for piece in response.aiter_raw():
                    reception.take(piece)
        except httpx2.HTTPError as error:
            raise BenchError(f"{address.name}: {str(error) or type(error).__name__}") from error

    return ask


def read(reception: Reception) -> Answer:
    """What the pieces say; the events of a stream that was given up end where it was.

    Raises:
        BenchError: The stream broke off with an error.
    """
    times: dict[int, list[float]] = {}
    texts: dict[int, str] = {}
    finishes: dict[int, str] = {}
    prompt: int | None = None
    tokens: int | None = None
    for moment, event in _events(reception):
        if "error" in event:
            raise BenchError(f"a stream broke off: {json.dumps(event['error'])[:300]}")
        for choice in event["choices"]:
            index, delta = choice["index"], choice["delta"]
            text = (delta.get("reasoning_content") or "") + (delta.get("content") or "")
            if text:
                times.setdefault(index, []).append(moment)
                texts[index] = texts.get(index, "") + text
            if choice.get("finish_reason"):
                finishes[index] = choice["finish_reason"]
        # One server sends the usage once, another once for each choice.
        if usage := event.get("usage"):
            prompt = usage["prompt_tokens"]
            tokens = (tokens or 0) + usage["completion_tokens"]
    return Answer(reception.sent, times, texts, finishes, prompt, tokens)


def _events(reception: Reception) -> list[tuple[float, Any]]:
    """The payloads, each with the time of the piece in which it was complete."""
    events = []
    rest = b""
    for moment, piece in reception.pieces:
        *lines, rest = (rest + piece).split(b"\n")
        events += [(moment, json.loads(line[5:])) for line in lines if line.startswith(PAYLOADS)]
    return events

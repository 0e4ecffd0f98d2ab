"""Sends a streamed request and records its raw chunks with their arrival times.

The client shares the CPU with the servers, so chunks are only stored during a round and parsed
after it.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx2

from friendli_endpoint.bench.wire import Address, BenchError, Request, body

__all__ = ["Answer", "RecordedResponse", "SendRequest", "connect", "read"]

BEGUN_EVENTS = 8
"""Number of events after which a stream counts as begun."""

SECONDS = 900.0
"""Read timeout, long enough to prefill all requests that are queued before this one."""

PAYLOADS = (b"data: {", b"data:{")


@dataclass(slots=True, eq=False)
class RecordedResponse:
    """Raw chunks of one response with their arrival times.

    Attributes:
        request: The request.
        sent: Time when it was sent, in seconds of `time.perf_counter`.
        chunks: Pairs of arrival time and bytes, in order.
        begun: Set after `BEGUN_EVENTS` events.
    """

    request: Request
    sent: float = 0.0
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    _events: int = 0

    def add(self, chunk: bytes) -> None:
        """Stores a chunk with the current time."""
        self.chunks.append((time.perf_counter(), chunk))
        if self._events < BEGUN_EVENTS:
            self._events += chunk.count(b"data:")
            if self._events >= BEGUN_EVENTS:
                self.begun.set()


SendRequest: TypeAlias = Callable[[RecordedResponse], Awaitable[None]]
"""Sends the request of a `RecordedResponse` and records the chunks of the answer in it.

Raises `BenchError` if the server answers with an error or the connection fails.
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """A parsed response.

    Attributes:
        sent: Time when the request was sent, in seconds of `time.perf_counter`.
        times: Arrival times of the events with text, by choice index.
        texts: Text by choice index, reasoning included.
        finishes: Finish reason by choice index; absent if the stream was cancelled.
        prompt_tokens: The server's count, or None.
        tokens: The server's count of generated tokens over all choices, or None.
    """

    sent: float
    times: dict[int, list[float]]
    texts: dict[int, str]
    finishes: dict[int, str]
    prompt_tokens: int | None
    tokens: int | None

    @property
    def last(self) -> float:
        """Arrival time of the last text."""
        return max(times[-1] for times in self.times.values())


def connect(client: httpx2.AsyncClient, address: Address) -> SendRequest:
    """Returns a function that sends requests to this server."""
    headers = {"content-type": "application/json", "accept-encoding": "identity"}
    if address.token:
        headers["authorization"] = f"Bearer {address.token}"

    async def send_request(recorded: RecordedResponse) -> None:
        content = body(recorded.request, address)
        recorded.sent = time.perf_counter()
        try:
            async with client.stream(
                "POST", address.url, content=content, headers=headers, timeout=SECONDS
            ) as response:
                if response.status_code != httpx2.codes.OK:
                    text = (await response.aread()).decode(errors="replace")[:300]
                    raise BenchError(f"{address.name} answers {response.status_code}: {text}")
                async for chunk in response.aiter_raw():
                    recorded.add(chunk)
        except httpx2.HTTPError as error:
            raise BenchError(f"{address.name}: {str(error) or type(error).__name__}") from error

    return send_request


def read(response: RecordedResponse) -> Answer:
    """Parses the chunks of a response; those of a cancelled stream may end anywhere.

    Raises:
        BenchError: The stream contains an error event.
    """
    times: dict[int, list[float]] = {}
    texts: dict[int, str] = {}
    finishes: dict[int, str] = {}
    prompt: int | None = None
    tokens: int | None = None
    for moment, event in _events(response):
        if "error" in event:
            raise BenchError(f"a stream ended with an error: {json.dumps(event['error'])[:300]}")
        for choice in event["choices"]:
            index, delta = choice["index"], choice["delta"]
            text = (delta.get("reasoning_content") or "") + (delta.get("content") or "")
            if text:
                times.setdefault(index, []).append(moment)
                texts[index] = texts.get(index, "") + text
            if choice.get("finish_reason"):
                finishes[index] = choice["finish_reason"]
        # Some servers send one usage event, others one for each choice.
        if usage := event.get("usage"):
            prompt = usage["prompt_tokens"]
            tokens = (tokens or 0) + usage["completion_tokens"]
    return Answer(response.sent, times, texts, finishes, prompt, tokens)


def _events(response: RecordedResponse) -> list[tuple[float, Any]]:
    """Returns the JSON payloads, each with the arrival time of the chunk that completed it."""
    events = []
    rest = b""
    for moment, chunk in response.chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        events += [(moment, json.loads(line[5:])) for line in lines if line.startswith(PAYLOADS)]
    return events

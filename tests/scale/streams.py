"""Answers to mixed requests, with what must hold for each stream whatever happens to engines."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpx2

from friendli._streaming.accumulate import Accumulator
from friendli.models import StreamedChatData
from tests.contract.live import COMPLETIONS
from tests.load.traffic import Comparable, comparable, request_of

__all__ = ["Clients", "Stream"]

COMMENT = ":"


class Stream:
    """The lines of one stream.

    Attributes:
        comments: Number of comments.
        silence: Longest time without a line, in seconds.
        chunks: The chunks.
        ends: Number of `[DONE]` events.
    """

    def __init__(self) -> None:
        self.comments = self.ends = 0
        self.chunks: list[dict[str, Any]] = []
        self.silence = 0.0
        self._heard_at = time.monotonic()

    def add(self, line: str) -> None:
        """Adds a line, which has just come."""
        now = time.monotonic()
        self.silence, self._heard_at = max(self.silence, now - self._heard_at), now
        if line.startswith(COMMENT):
            self.comments += 1
        elif line == "data: [DONE]":
            self.ends += 1
        elif line:
            assert not self.ends, "something follows [DONE]"
            self.chunks.append(json.loads(line.removeprefix("data: ")))

    def answer(self) -> Comparable:
        """Returns the answer; checks that nothing came twice.

        Raises:
            AssertionError: An error came, or a role, the usage or `[DONE]` not exactly once.
        """
        assert not [chunk for chunk in self.chunks if "error" in chunk], self.chunks[-1]
        assert len({(chunk["id"], chunk["created"]) for chunk in self.chunks}) == 1
        deltas = [choice for chunk in self.chunks for choice in chunk["choices"]]
        choices = {choice["index"] for choice in deltas}
        roles = [choice["index"] for choice in deltas if choice["delta"].get("role")]
        finishes = [choice["index"] for choice in deltas if choice["finish_reason"]]
        usages = [chunk for chunk in self.chunks if chunk["usage"]]
        assert sorted(roles) == sorted(finishes) == sorted(choices)
        assert len(usages) == 1 and self.ends == 1
        accumulator = Accumulator()
        for chunk in self.chunks:
            accumulator.add(StreamedChatData.model_validate(chunk))
        return comparable(accumulator.completion().model_dump())


class Clients:
    """Sends requests at the same time, every second one as a stream.

    Args:
        address: Address of the endpoint.
        on_chunk: Called after every chunk of any stream.
        on_accept: Called when a stream is accepted.
        on_start: Called after the first chunk of each stream.

    Attributes:
        comments: Number of comments in all streams.
        silence: Longest time without a line in any stream, in seconds.
    """

    def __init__(
        self,
        address: str,
        on_chunk: Callable[[], None] = lambda: None,
        on_accept: Callable[[], None] = lambda: None,
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        self._url = address + COMPLETIONS
        self._on_chunk = on_chunk
        self._on_accept = on_accept
        self._on_start = on_start
        self.comments = 0
        self.silence = 0.0

    async def all(self, numbers: Iterable[int], **fields: Any) -> list[Comparable]:
        """Returns the answers to the requests of these numbers."""
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(timeout=120, limits=limits, trust_env=False) as client:
            return await asyncio.gather(
                *(self._answer(client, number, fields) for number in numbers)
            )

    async def one_by_one(self, numbers: Iterable[int], **fields: Any) -> list[Comparable]:
        """Returns the same answers, each while nothing else runs."""
        return [(await self.all([number], **fields))[0] for number in numbers]

    async def _answer(
        self, client: httpx2.AsyncClient, number: int, fields: dict[str, Any]
    ) -> Comparable:
        body = {**request_of(number), **fields}
        if number % 2:
            response = await client.post(self._url, json=body)
            assert response.status_code == 200, response.text
            return comparable(response.json())
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        stream = Stream()
        async with client.stream("POST", self._url, json=body) as response:
            assert response.status_code == 200, await response.aread()
            self._on_accept()
            async for line in response.aiter_lines():
                stream.add(line)
                if line and not line.startswith(COMMENT):
                    self._on_chunk()
                    if len(stream.chunks) == 1:
                        self._on_start()
        self.comments += stream.comments
        self.silence = max(self.silence, stream.silence)
        return stream.answer()

"""Mixed requests, and the fields of their answers that must not depend on the load."""

import asyncio
import json
import random
from collections.abc import Iterable
from typing import Any

import httpx2

from friendli._streaming.accumulate import Accumulator
from friendli.models import StreamedChatData
from tests.contract.live import COMPLETIONS, JSON_TYPE
from tests.contract.test_concurrent_requests import MIXED, comparable

__all__ = ["BAD", "Comparable", "Traffic", "alone", "comparable", "request_of"]

Comparable = dict[str, Any]

ADAPTERS = "/dedicated/v1/adapters"

TEXTS = ("Name a colour.", "What is a harbour?", "Count to three.", "Why is the sea salt?")
BAD: list[bytes] = [
    b'{"model": "m", "messages": [',
    b"\xff\xfe",
    b"[" * 5000,
    json.dumps({"model": "m", "messages": []}).encode(),
    json.dumps({"model": "m", "messages": [{"role": "user", "content": "a"}], "n": 1000}).encode(),
    json.dumps(
        {
            "model": "m",
            "messages": [{"role": "user", "content": "a"}],
            "response_format": {"type": "regex", "schema": "(a{1000}){1000}"},
        }
    ).encode(),
]
"""Bodies that are rejected."""


def request_of(number: int) -> dict[str, Any]:
    """Returns the request of a number; equal numbers give equal requests, seeds included."""
    return {
        "model": "m",
        "messages": [{"role": "user", "content": TEXTS[number % len(TEXTS)]}],
        "seed": number,
        **MIXED[number % len(MIXED)],
    }


class Traffic:
    """A client that requests completions and streams.

    Args:
        address: Address of the endpoint.
        max_connections: Maximum number of concurrent connections.
    """

    def __init__(self, address: str, max_connections: int = 64) -> None:
        self._url = address + COMPLETIONS
        self._adapters = address + ADAPTERS
        limits = httpx2.Limits(
            max_connections=max_connections, max_keepalive_connections=max_connections
        )
        self._client = httpx2.AsyncClient(timeout=120, limits=limits, trust_env=False)

    async def __aenter__(self) -> "Traffic":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def post(self, body: bytes) -> httpx2.Response:
        """Sends a body as it is."""
        return await self._client.post(self._url, content=body, headers=JSON_TYPE)

    async def load_adapter(self, route: str, file: str) -> None:
        """Loads an adapter under a route."""
        response = await self._client.post(self._adapters, json={"route": route, "file": file})
        assert response.status_code == 201, response.text

    async def unload_adapter(self, route: str) -> None:
        """Unloads an adapter."""
        response = await self._client.delete(f"{self._adapters}/{route}")
        assert response.status_code == 200, response.text

    async def complete(self, number: int, **fields: Any) -> Comparable:
        """Returns the answer to the request of a number with these fields."""
        response = await self.post(json.dumps({**request_of(number), **fields}).encode())
        assert response.status_code == 200, response.text
        return comparable(response.json())

    async def streamed(self, number: int, **fields: Any) -> Comparable:
        """Returns the same answer, accumulated from a stream."""
        accumulator = Accumulator()
        streaming = {"stream": True, "stream_options": {"include_usage": True}}
        body = {**request_of(number), **fields, **streaming}
        async with self._client.stream("POST", self._url, json=body) as response:
            assert response.status_code == 200
            last = ""
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    accumulator.add(StreamedChatData.model_validate_json(line[6:]))
                last = line or last
            assert last == "data: [DONE]"
        return comparable(accumulator.completion().model_dump())

    async def abandon(self, number: int, draw: random.Random, **fields: Any) -> None:
        """Sends a request and disconnects while it is queued, being prefilled or decoded."""
        body = {**request_of(number), **fields, "stream": draw.random() < 0.7, "max_tokens": 400}
        posting = asyncio.create_task(self.post(json.dumps(body).encode()))
        await asyncio.wait([posting], timeout=draw.expovariate(1.5))
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)


async def alone(address: str, numbers: Iterable[int]) -> list[Comparable]:
    """Returns the answers to requests when nothing else runs."""
    async with Traffic(address, 1) as traffic:
        return [await traffic.complete(number) for number in numbers]

"""Requests of all kinds, and what must be the same of their answers at any load."""

import asyncio
import json
import random
from collections.abc import Iterable
from typing import Any

import httpx2

from friendli._streaming.accumulate import Accumulator
from friendli.models import StreamedChatData
from tests.contract.live import COMPLETIONS
from tests.contract.test_neighbours import MIXED, told

__all__ = ["BAD", "Told", "Traffic", "alone", "asked", "told"]

Told = dict[str, Any]

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
"""Bodies that are refused."""


def asked(number: int) -> dict[str, Any]:
    """The request of a number; those of equal numbers are equal, seeds included."""
    return {
        "model": "m",
        "messages": [{"role": "user", "content": TEXTS[number % len(TEXTS)]}],
        "seed": number,
        **MIXED[number % len(MIXED)],
    }


class Traffic:
    """A client that asks for whole answers and for streams.

    Args:
        address: Of the endpoint.
        most: Connections at once.
    """

    def __init__(self, address: str, most: int = 64) -> None:
        self._url = address + COMPLETIONS
        self._adapters = address + ADAPTERS
        limits = httpx2.Limits(max_connections=most, max_keepalive_connections=most)
        self._client = httpx2.AsyncClient(timeout=120, limits=limits, trust_env=False)

    async def __aenter__(self) -> "Traffic":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def post(self, body: bytes) -> httpx2.Response:
        """Sends a body as it is."""
        return await self._client.post(self._url, content=body)

    async def load_adapter(self, route: str, file: str) -> None:
        """Has an adapter loaded under a route."""
        response = await self._client.post(self._adapters, json={"route": route, "file": file})
        assert response.status_code == 201, response.text

    async def unload_adapter(self, route: str) -> None:
        """Has an adapter taken away."""
        response = await self._client.delete(f"{self._adapters}/{route}")
        assert response.status_code == 200, response.text

    async def whole(self, number: int, **fields: Any) -> Told:
        """A whole answer to the request of a number with these fields."""
        response = await self.post(json.dumps({**asked(number), **fields}).encode())
        assert response.status_code == 200, response.text
        return told(response.json())

    async def streamed(self, number: int, **fields: Any) -> Told:
        """The same answer, streamed."""
        accumulator = Accumulator()
        streaming = {"stream": True, "stream_options": {"include_usage": True}}
        body = {**asked(number), **fields, **streaming}
        async with self._client.stream("POST", self._url, json=body) as response:
            assert response.status_code == 200
            last = ""
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    accumulator.add(StreamedChatData.model_validate_json(line[6:]))
                last = line or last
            assert last == "data: [DONE]"
        return told(accumulator.completion().model_dump())

    async def left(self, number: int, draw: random.Random, **fields: Any) -> None:
        """Asks, and leaves at some time: queued, in the prompt, or in the middle of the answer."""
        body = {**asked(number), **fields, "stream": draw.random() < 0.7, "max_tokens": 400}
        asking = asyncio.create_task(self.post(json.dumps(body).encode()))
        await asyncio.wait([asking], timeout=draw.expovariate(1.5))
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def alone(address: str, numbers: Iterable[int]) -> list[Told]:
    """What each request gets when nothing else runs."""
    async with Traffic(address, 1) as traffic:
        return [await traffic.whole(number) for number in numbers]

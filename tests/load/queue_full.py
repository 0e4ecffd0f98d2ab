"""Sends more requests than fit the queue: accepted ones are answered, rejected ones are retried."""

import asyncio
import json
import time
from typing import Any

import httpx2

from tests.contract.served import served
from tests.load.traffic import Traffic, alone, request_of

__all__ = ["queue_full"]


def queue_full(requests: int, *flags: str) -> dict[str, Any]:
    """Sends concurrent requests to an endpoint with two sequences and a queue of four.

    Args:
        requests: Number of requests.
        flags: Further flags of `serve`.
    """
    fixed = ("--max-sequences", "2", "--max-queue", "4", "--context", "1024")
    with served(*fixed, *flags) as endpoint:
        return asyncio.run(_fill(endpoint.address, requests))


async def _fill(address: str, requests: int) -> dict[str, Any]:
    numbers = [0, 2, 4, 8]  # requests with one choice and no adapter
    expected = dict(zip(numbers, await alone(address, numbers), strict=True))
    waits: list[int] = []
    retries: list[int] = []
    begun = time.monotonic()

    async def ask(number: int) -> httpx2.Response:
        return await traffic.post(json.dumps(request_of(number)).encode())

    async def ask_until_accepted(index: int) -> bool:
        """Repeats a request after `retry-after` until it is accepted; returns if it is correct."""
        number = numbers[index % len(numbers)]
        num_retries = 0
        while (response := await ask(number)).status_code == 429:
            assert response.json()["error"]["code"] == "queue_full"
            wait = int(response.headers["retry-after"])
            waits.append(wait)
            num_retries += 1
            await asyncio.sleep(wait)
        retries.append(num_retries)
        assert response.status_code == 200, response.text
        answer = response.json()
        return bool(answer["choices"] == expected[number]["choices"])

    async with Traffic(address, requests) as traffic:
        right = await asyncio.gather(*(ask_until_accepted(index) for index in range(requests)))
    return {
        "requests": requests,
        "accepted at once": retries.count(0),
        "rejected with 429": len(waits),
        "Retry-After, seconds (min, max)": [min(waits, default=0), max(waits, default=0)],
        "max rejections of one request": max(retries),
        "answered correctly in the end": sum(right),
        "seconds": round(time.monotonic() - begun, 1),
    }

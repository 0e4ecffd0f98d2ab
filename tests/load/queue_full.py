"""More requests than there is room for: none that is accepted is lost, the rest come back."""

import asyncio
import json
import time
from typing import Any

import httpx2

from tests.contract.served import served
from tests.load.traffic import Traffic, alone, asked

__all__ = ["queue_full"]


def queue_full(requests: int) -> dict[str, Any]:
    """Sends requests at once to an endpoint of two places and a queue of four.

    Args:
        requests: How many.
    """
    flags = ("--max-sequences", "2", "--max-queue", "4", "--context", "1024")
    with served(*flags) as endpoint:
        return asyncio.run(_fill(endpoint.address, requests))


async def _fill(address: str, requests: int) -> dict[str, Any]:
    numbers = [0, 2, 4, 8]  # of one choice, and no adapter
    expected = dict(zip(numbers, await alone(address, numbers), strict=True))
    refusals: list[int] = []
    rounds: list[int] = []
    begun = time.monotonic()

    async def ask(number: int) -> httpx2.Response:
        return await traffic.post(json.dumps(asked(number)).encode())

    async def come_back(place: int) -> bool:
        """Asks until there is room, each time as late as it is told to."""
        number = numbers[place % len(numbers)]
        times = 0
        while (response := await ask(number)).status_code == 429:
            assert response.json()["error"]["code"] == "queue_full"
            wait = int(response.headers["retry-after"])
            refusals.append(wait)
            times += 1
            await asyncio.sleep(wait)
        rounds.append(times)
        assert response.status_code == 200, response.text
        answer = response.json()
        return bool(answer["choices"] == expected[number]["choices"])

    async with Traffic(address, requests) as traffic:
        right = await asyncio.gather(*(come_back(place) for place in range(requests)))
    return {
        "requests": requests,
        "accepted at once": rounds.count(0),
        "rejected with 429": len(refusals),
        "Retry-After, seconds (min, max)": [min(refusals, default=0), max(refusals, default=0)],
        "max rejections of one request": max(rounds),
        "answered correctly in the end": sum(right),
        "seconds": round(time.monotonic() - begun, 1),
    }

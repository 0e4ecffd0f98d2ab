"""Streams a number of requests at once and times their tokens."""

import asyncio
import json
import time
from dataclasses import dataclass

import httpx2

PROMPT = (
    "Write a short story about a lighthouse keeper who finds a letter in a bottle one winter "
    "morning, and about what the letter asks of him."
)


@dataclass(frozen=True)
class Timing:
    """One round: tokens a second over all requests, and the median time to first token in s."""

    rate: float
    first: float


def measure(url: str, requests: int, tokens: int) -> Timing:
    """Sends so many requests at once, greedy, each for exactly so many tokens.

    The prompts differ in their first words, so that no cache of prefixes takes part.
    """
    return asyncio.run(_measure(url, requests, tokens))


async def _measure(url: str, requests: int, tokens: int) -> Timing:
    async with httpx2.AsyncClient(timeout=300) as client:
        begun = time.perf_counter()
        streams = [
            _stream(client, url, f"Story {time.time_ns()}.", tokens) for _ in range(requests)
        ]
        firsts = sorted(await asyncio.gather(*streams))
        seconds = time.perf_counter() - begun
    return Timing(requests * tokens / seconds, firsts[len(firsts) // 2])


async def _stream(client: httpx2.AsyncClient, url: str, opening: str, tokens: int) -> float:
    body = {
        "model": "any",
        "messages": [{"role": "user", "content": f"{opening} {PROMPT}"}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        # Neither server may stop early: the end tokens of the model are banned.
        "logit_bias": {"0": False, "2": False, "4": False},
    }
    begun = time.perf_counter()
    first, made = 0.0, 0
    async with client.stream("POST", url, json=body) as response:
        if response.status_code != 200:
            raise RuntimeError((await response.aread()).decode())
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            event = json.loads(line[6:])
            if event.get("usage"):
                made = event["usage"]["completion_tokens"]
            elif not first and event["choices"][0]["delta"].get("content"):
                first = time.perf_counter() - begun
    if made != tokens:
        raise RuntimeError(f"{url} made {made} tokens of {tokens}")
    return first

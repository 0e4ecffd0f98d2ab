"""Mixed traffic for a time: every answer as alone, and memory and descriptors level.

Adapters are loaded and taken away throughout.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from friendli_endpoint.engine.llama.model import find_embedded_model
from tests.contract.served import Served, served
from tests.load.traffic import BAD, Told, Traffic, alone
from tests.support.lora import write_loras

__all__ = ["soak"]

COUNTED = (
    "responses",
    "adapters loaded",
    "wrong responses",
    "cancelled by the client",
    "rejected (4xx)",
    "errors",
)

SAMPLES = 200
"""How often memory and descriptors are looked at."""

ROUTES = ("two", "three", "team/four")
"""Of the adapters that come and go, under each of which one file or the other is loaded."""

FILES = ("lora-1.gguf", "lora-2.gguf")
NUMBER = 5
"""Of the request that is sent to them: a long prompt, and log probabilities."""

LEFT, REFUSED = 0.15, 0.1
"""Shares of requests whose client leaves, and of those that are bad."""


def soak(
    seconds: float,
    concurrent: int,
    kinds: int = 48,
    least: int = 1,
    model: Path | None = None,
    context: int = 1024,
) -> dict[str, Any]:
    """Runs traffic, and tells what came of it.

    Args:
        seconds: How long.
        concurrent: Requests at once.
        kinds: How many different ones, each of which is asked for again and again.
        least: How often each of the concurrent clients asks, however long that takes.
        model: A GGUF file; the embedded one if None.
        context: Max tokens of a prompt and its answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = model or find_embedded_model()
        lora, *_ = write_loras(Path(folder), path, range(3))
        adapters = ("--adapter", f"one={lora}", "--adapter-dir", folder)
        with served("--model", str(path), "--context", str(context), *adapters) as endpoint:
            return asyncio.run(_soak(endpoint, seconds, concurrent, range(kinds), least))


async def _soak(
    endpoint: Served, seconds: float, concurrent: int, numbers: range, least: int
) -> dict[str, Any]:
    expected = await alone(endpoint.address, numbers)
    said_alone = await _said_alone(endpoint.address)
    counts: Counter[str] = Counter()
    samples: list[tuple[float, int, int]] = []
    begun = time.monotonic()
    async with Traffic(endpoint.address, concurrent + 3) as traffic:
        workers = [
            asyncio.create_task(_work(traffic, expected, counts, worker, begun + seconds, least))
            for worker in range(concurrent)
        ]
        workers.append(
            asyncio.create_task(_come_and_go(traffic, said_alone, counts, begun + seconds))
        )
        while not all(worker.done() for worker in workers):
            now = time.monotonic() - begun
            samples.append((now, endpoint.resident(), endpoint.descriptors()))
            await asyncio.wait(workers, timeout=seconds / SAMPLES)
        await asyncio.gather(*workers)
    after = await alone(endpoint.address, numbers[:4])
    times, resident, descriptors = np.array([s for s in samples if s[0] > seconds / 2]).T
    slope = np.polyfit(times, resident, 1)[0] if len(times) > 1 else 0.0
    return {
        "seconds": seconds,
        "concurrent requests": concurrent,
        **{name: counts[name] for name in COUNTED},
        "same responses at the end": after == expected[:4],
        "mean resident memory, MiB": round(float(resident.mean()) / (1 << 20), 1),
        "slope of memory, KiB/min": round(float(slope) * 60 / 1024, 1),
        "file descriptors (min, max, end)": [
            int(descriptors.min()),
            int(descriptors.max()),
            endpoint.descriptors(),
        ],
    }


async def _said_alone(address: str) -> dict[str, Any]:
    """The choices that each file that comes and goes gives when nothing else runs."""
    said: dict[str, Any] = {}
    async with Traffic(address, 1) as traffic:
        for file in FILES:
            await traffic.load_adapter(ROUTES[0], file)
            answer = await traffic.whole(NUMBER, model=f"m:{ROUTES[0]}")
            assert answer["choices"] not in said.values()
            said[file] = answer["choices"]
            await traffic.unload_adapter(ROUTES[0])
    return said


async def _come_and_go(
    traffic: Traffic, expected: dict[str, Any], counts: Counter[str], end: float
) -> None:
    """Loads adapters, uses them, and takes them away while a request for them is on its way."""
    draw = random.Random(0)
    while not counts["adapters loaded"] or time.monotonic() < end:
        route, file = draw.choice(ROUTES), draw.choice(FILES)
        model = f"m:{route}"
        try:
            await traffic.load_adapter(route, file)
            answers = await asyncio.gather(
                traffic.whole(NUMBER, model=model), traffic.streamed(NUMBER, model=model)
            )
            on_its_way = asyncio.create_task(traffic.left(NUMBER, draw, model=model))
            await traffic.unload_adapter(route)
            await on_its_way
        except (httpx2.HTTPError, AssertionError) as error:
            counts["errors"] += 1
            print(f"soak: the adapter {route} failed: {error!r}", file=sys.stderr)
            return
        counts["adapters loaded"] += 1
        counts["wrong responses"] += sum(answer["choices"] != expected[file] for answer in answers)


async def _work(
    traffic: Traffic,
    expected: list[Told],
    counts: Counter[str],
    worker: int,
    end: float,
    least: int,
) -> None:
    draw = random.Random(worker)
    asked = 0
    while asked < least or time.monotonic() < end:
        asked += 1
        number = draw.randrange(len(expected))
        kind = draw.random()
        if kind < LEFT:
            await traffic.left(number, draw)
            counts["cancelled by the client"] += 1
        elif kind < LEFT + REFUSED:
            status = (await traffic.post(draw.choice(BAD))).status_code
            counts["rejected (4xx)" if 400 <= status < 500 else "errors"] += 1
        else:
            try:
                answer = await (traffic.whole if draw.random() < 0.5 else traffic.streamed)(number)
            except (httpx2.HTTPError, AssertionError) as error:
                counts["errors"] += 1
                print(f"soak: request {number} failed: {error!r}", file=sys.stderr)
            else:
                counts["responses"] += 1
                counts["wrong responses"] += answer != expected[number]

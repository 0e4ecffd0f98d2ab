"""Runs mixed traffic for some time: answers equal those without load, memory stays level.

Adapters are loaded and unloaded throughout, and open file descriptors are counted. With engines in
child processes, one of them may be killed again and again.
"""

import asyncio
import os
import random
import signal
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
from tests.load.traffic import BAD, Comparable, Traffic, alone
from tests.scale.engines import engine_pids, metric
from tests.support.lora import write_loras
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs

__all__ = ["soak", "soak_of_kills"]

COUNTED = (
    "responses",
    "adapters loaded",
    "wrong responses",
    "cancelled by the client",
    "rejected (4xx)",
    "errors",
)

SAMPLES = 200
"""Number of samples of memory and descriptors."""

ROUTES = ("two", "three", "team/four")
"""Routes under which adapters are loaded and unloaded, each time from one of `FILES`."""

FILES = ("lora-1.gguf", "lora-2.gguf")
NUMBER = 5
"""Number of the request to these adapters: a long prompt with log probabilities."""

LEFT, REJECTED = 0.15, 0.1
"""Shares of requests whose client disconnects, and of invalid requests."""


def soak(
    seconds: float,
    concurrent: int,
    *flags: str,
    kinds: int = 48,
    min_requests: int = 1,
    model: Path | None = None,
    context: int = 1024,
    kill_every: float | None = None,
) -> dict[str, Any]:
    """Runs traffic, and returns counts of the results.

    Args:
        seconds: Duration.
        concurrent: Number of concurrent clients.
        flags: Further flags of `serve`.
        kinds: Number of different requests, each of which is repeated.
        min_requests: Minimum number of requests of each client, regardless of the duration.
        model: A GGUF file; the embedded model if None.
        context: Context length, in tokens.
        kill_every: Seconds between two kills of an engine; None for no kills.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = model or find_embedded_model()
        lora, *_ = write_loras(Path(folder), path, range(3))
        fixed = ("--model", str(path), "--context", str(context))
        adapters = ("--adapter", f"one={lora}", "--adapter-dir", folder)
        with served(*fixed, *adapters, *flags) as endpoint:
            work = _soak(endpoint, seconds, concurrent, range(kinds), min_requests, kill_every)
            return asyncio.run(work)


def soak_of_kills(
    seconds: float, concurrent: int, min_requests: int = 1, kill_every: float = 20.0
) -> dict[str, Any]:
    """Runs traffic on two engines that compute a small model, one of which is killed at times.

    Args:
        seconds: Duration.
        concurrent: Number of concurrent clients.
        min_requests: As for `soak`.
        kill_every: Seconds between two kills.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = write_byte_pairs(Path(folder) / "model.gguf", LLAMA)
        return soak(
            seconds,
            concurrent,
            *("--engines", "2", "--threads", "1"),
            kinds=16,
            min_requests=min_requests,
            model=model,
            context=4096,
            kill_every=kill_every,
        )


async def _soak(
    endpoint: Served,
    seconds: float,
    concurrent: int,
    numbers: range,
    min_requests: int,
    kill_every: float | None,
) -> dict[str, Any]:
    expected = await alone(endpoint.address, numbers)
    expected_by_file = await _adapter_answers(endpoint.address)
    counts: Counter[str] = Counter()
    samples: list[tuple[float, int, int]] = []
    begun = time.monotonic()
    async with Traffic(endpoint.address, concurrent + 3) as traffic:
        workers = [
            asyncio.create_task(
                _work(traffic, expected, counts, worker, begun + seconds, min_requests)
            )
            for worker in range(concurrent)
        ]
        workers.append(
            asyncio.create_task(
                _reload_adapters(traffic, expected_by_file, counts, begun + seconds)
            )
        )
        if kill_every is not None:
            workers.append(asyncio.create_task(_kill(endpoint, counts, kill_every, workers[:])))
        while not all(worker.done() for worker in workers):
            now = time.monotonic() - begun
            samples.append((now, endpoint.resident(), endpoint.descriptors()))
            await asyncio.wait(workers, timeout=seconds / SAMPLES)
        await asyncio.gather(*workers)
    after = await alone(endpoint.address, numbers[:4])
    times, resident, descriptors = np.array([s for s in samples if s[0] > seconds / 2]).T
    slope = np.polyfit(times, resident, 1)[0] if len(times) > 1 else 0.0
    kills = {} if kill_every is None else {"engines killed": counts["engines killed"]}
    return {
        "seconds": seconds,
        "concurrent requests": concurrent,
        **kills,
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


async def _adapter_answers(address: str) -> dict[str, Any]:
    """Returns the choices of each adapter file when nothing else runs."""
    choices: dict[str, Any] = {}
    async with Traffic(address, 1) as traffic:
        for file in FILES:
            await traffic.load_adapter(ROUTES[0], file)
            answer = await traffic.complete(NUMBER, model=f"m:{ROUTES[0]}")
            assert answer["choices"] not in choices.values()
            choices[file] = answer["choices"]
            await traffic.unload_adapter(ROUTES[0])
    return choices


async def _kill(
    endpoint: Served, counts: Counter[str], every: float, workers: list[asyncio.Task[None]]
) -> None:
    """Kills a random engine at regular intervals, if all serve, while workers have work."""
    draw = random.Random(0)
    pids = engine_pids(endpoint)
    while (await asyncio.wait(workers, timeout=every))[1]:
        if await asyncio.to_thread(metric, endpoint, "engines") == len(pids):
            pids = engine_pids(endpoint)
            os.kill(draw.choice(pids), signal.SIGKILL)
            counts["engines killed"] += 1


async def _reload_adapters(
    traffic: Traffic, expected: dict[str, Any], counts: Counter[str], end: float
) -> None:
    """Loads adapters, uses them, and unloads them while a request for them is in flight."""
    draw = random.Random(0)
    while not counts["adapters loaded"] or time.monotonic() < end:
        route, file = draw.choice(ROUTES), draw.choice(FILES)
        model = f"m:{route}"
        try:
            await traffic.load_adapter(route, file)
            answers = await asyncio.gather(
                traffic.complete(NUMBER, model=model), traffic.streamed(NUMBER, model=model)
            )
            in_flight = asyncio.create_task(traffic.abandon(NUMBER, draw, model=model))
            await traffic.unload_adapter(route)
            await in_flight
        except (httpx2.HTTPError, AssertionError) as error:
            counts["errors"] += 1
            print(f"soak: the adapter {route} failed: {error!r}", file=sys.stderr)
            return
        counts["adapters loaded"] += 1
        counts["wrong responses"] += sum(answer["choices"] != expected[file] for answer in answers)


async def _work(
    traffic: Traffic,
    expected: list[Comparable],
    counts: Counter[str],
    worker: int,
    end: float,
    min_requests: int,
) -> None:
    draw = random.Random(worker)
    num_requests = 0
    while num_requests < min_requests or time.monotonic() < end:
        num_requests += 1
        number = draw.randrange(len(expected))
        kind = draw.random()
        if kind < LEFT:
            await traffic.abandon(number, draw)
            counts["cancelled by the client"] += 1
        elif kind < LEFT + REJECTED:
            status = (await traffic.post(draw.choice(BAD))).status_code
            counts["rejected (4xx)" if 400 <= status < 500 else "errors"] += 1
        else:
            try:
                answer = await (traffic.complete if draw.random() < 0.5 else traffic.streamed)(
                    number
                )
            except (httpx2.HTTPError, AssertionError) as error:
                counts["errors"] += 1
                print(f"soak: request {number} failed: {error!r}", file=sys.stderr)
            else:
                counts["responses"] += 1
                counts["wrong responses"] += answer != expected[number]

"""Kills engines at random moments under mixed traffic, and counts the answers that are right."""

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from tests.scale.engines import engine_pids, serving, until_replaced
from tests.scale.streams import Clients

__all__ = ["kills"]

MAX_CHUNKS = 5
"""Maximum number of chunks for each request before an engine is killed."""


def kills(
    rounds: int,
    count: int,
    num_engines: int = 2,
    number: signal.Signals = signal.SIGKILL,
    model: Path | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Sends requests together, and kills an engine after a random number of chunks.

    Args:
        rounds: Number of repetitions.
        count: Number of requests, half of which are streams.
        num_engines: Number of engines.
        number: Signal that ends an engine.
        model: A GGUF file; by default a very small one.
        seed: Seed of the moments.
    """
    draw, outcomes = random.Random(seed), Counter[str]()
    with serving(num_engines, model=model) as endpoint:
        alone = asyncio.run(Clients(endpoint.address).one_by_one(range(count)))
        for _ in range(rounds):
            left, victim = draw.randrange(1, MAX_CHUNKS * count), draw.choice(engine_pids(endpoint))

            def kill(victim: int = victim) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(victim, number)
                    outcomes["kills"] += 1

            answers = asyncio.run(Clients(endpoint.address, kill).all(range(count)))
            outcomes["equal"] += sum(map(dict.__eq__, answers, alone))
            outcomes["different"] += sum(map(dict.__ne__, answers, alone))
            if left <= 0:
                until_replaced(endpoint, victim, num_engines)
    return {"rounds": rounds, "requests": rounds * count, **outcomes}

"""Kills engines at random moments under mixed traffic, and counts the answers that are right."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.contract.served import Served
from tests.scale.engines import engine_pids, serving, until_replaced
from tests.scale.streams import Clients

__all__ = ["killed", "kills"]

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
    with serving(num_engines, model=model) as endpoint:
        return killed(endpoint, rounds, count, num_engines, number, seed)


def killed(
    endpoint: Served,
    rounds: int,
    count: int,
    num_engines: int = 2,
    number: signal.Signals = signal.SIGKILL,
    seed: int = 0,
    victims: Callable[[Served], list[int]] = engine_pids,
) -> dict[str, Any]:
    """Does the same with an endpoint that serves.

    Args:
        endpoint: The endpoint.
        rounds: As for `kills`.
        count: As for `kills`.
        num_engines: As for `kills`.
        number: As for `kills`.
        seed: As for `kills`.
        victims: Returns the ids of the processes that may be killed, one for each engine.
    """
    draw, outcomes = random.Random(seed), Counter[str]()
    alone = asyncio.run(Clients(endpoint.address).one_by_one(range(count)))
    for _ in range(rounds):
        left, victim = draw.randrange(1, MAX_CHUNKS * count), draw.choice(victims(endpoint))

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
            until_replaced(endpoint, victim, num_engines, victims)
    return {"rounds": rounds, "requests": rounds * count, **outcomes}

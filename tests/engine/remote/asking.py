"""Requests to a fleet, and what their callers are told."""

import asyncio
from collections.abc import Callable
from typing import Any

from friendli_endpoint.engine.remote.fleet import EngineFleet
from friendli_endpoint.generation import Generated, GenerationRequest, Started
from tests.engine.remote.scripted_child import request
from tests.support.scripted import PATIENCE

__all__ = ["answer", "mixed", "until"]


async def answer(
    fleet: EngineFleet, sent: GenerationRequest, first: Callable[[], None] = lambda: None
) -> list[list[Any]]:
    """Returns what each choice was told; calls `first` after the first event."""
    told: list[list[Any]] = [[] for _ in sent.choices]
    starts = 0
    async with asyncio.timeout(PATIENCE), fleet.run(sent) as events:
        async for event in events:
            starts += isinstance(event, Started)
            if isinstance(event, Generated):
                for step in event.steps:
                    told[step.choice].append((step.token_id, step.findings))
            first()
    assert starts == 1
    return told


def mixed(count: int, *fault: int) -> list[GenerationRequest]:
    """Returns requests of several kinds."""
    return [
        request(
            f"r{number}",
            50 + number,
            *fault,
            choices=1 + 2 * (number % 3 == 0),
            max_tokens=10,
            stream=number % 2 == 0,
        )
        for number in range(count)
    ]


async def until(condition: Callable[[], bool]) -> None:
    """Waits until a condition is true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)

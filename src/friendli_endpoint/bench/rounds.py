"""Measures a workload on several servers in interleaved rounds; it starts no server."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import httpx2

from friendli_endpoint.bench.load import Ask, connect, read
from friendli_endpoint.bench.prose import fresh_words
from friendli_endpoint.bench.rest import wait_until_idle
from friendli_endpoint.bench.wire import Address, BenchError, Request, user
from friendli_endpoint.bench.workload import Outcome, Shape, Stage, Workload, send

__all__ = ["Measured", "Sample", "Tell", "measure", "warm_up"]

T = TypeVar("T")

Tell: TypeAlias = Callable[[str], None]
"""Hears what is being done."""

WARM_UP_WORDS = (16, 216)
"""Of two prompts whose tokens, by the server's count, tell the shape of all others."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of a workload on one server.

    Attributes:
        outcome: What it came to.
        seconds: How long it took.
        client_share: Of one processor: what the client used of it in that time.
    """

    outcome: Outcome
    seconds: float
    client_share: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All rounds of a workload.

    Attributes:
        samples: By server, in the order of the rounds.
        faults: By server: why it was given up.
    """

    workload: Workload
    samples: Mapping[str, Sequence[Sample]]
    faults: Mapping[str, str] = field(default_factory=dict)

    def values(self, server: str) -> list[float]:
        """The value of every round."""
        return [sample.outcome.value for sample in self.samples[server]]


def measure(
    workload: Workload,
    addresses: Sequence[Address],
    rounds: int,
    seed: str,
    shape: Shape,
    tell: Tell,
) -> Measured:
    """Runs every round on every server, and begins each round with another one.

    Args:
        workload: What to measure.
        addresses: The servers; one that fails is given up for this workload.
        rounds: How many.
        seed: Of the prompts; the same in a round for all servers.
        shape: Of the model's prompts.
        tell: Hears every value.
    """
    samples: dict[str, list[Sample]] = {address.name: [] for address in addresses}
    faults: dict[str, str] = {}
    for number in range(rounds):
        stage = Stage(f"{seed} {workload.name} {number}", shape, f"{seed} {workload.name}")
        first = number % len(addresses)
        for address in (*addresses[first:], *addresses[:first]):
            if address.name in faults:
                continue
            wait_until_idle(each.process for each in addresses)
            place = f"{workload.name}, round {number + 1} of {rounds}, {address.name}"
            try:
                sample = _sample(workload, address, stage)
            except BenchError as error:
                faults[address.name] = str(error)
                tell(f"{place}: {error}")
                continue
            samples[address.name].append(sample)
            tell(f"{place}: {sample.outcome.value:.4g} {workload.unit}")
    return Measured(workload, samples, faults)


def _sample(workload: Workload, address: Address, stage: Stage) -> Sample:
    async def run(ask: Ask) -> Outcome:
        return await workload.run(ask, stage)

    wall, cpu = time.perf_counter(), time.process_time()
    outcome = _with_client(address, run)
    seconds = time.perf_counter() - wall
    return Sample(outcome, seconds, (time.process_time() - cpu) / seconds)


def warm_up(address: Address, seed: str) -> Shape:
    """Asks for a little of everything once, and learns the shape of the model's prompts.

    Raises:
        BenchError: The server does not answer, or does not count.
    """

    async def run(ask: Ask) -> list[int]:
        texts = [fresh_words(count, f"{seed} {count}") for count in WARM_UP_WORDS]
        receptions = await send(ask, [Request((user(text),), 8) for text in texts])
        return [read(reception).prompt_tokens or 0 for reception in receptions]

    counts = _with_client(address, run)
    if not 0 < counts[0] < counts[1]:
        raise BenchError(f"{address.name} does not say how many tokens a prompt has")
    per_word = (counts[1] - counts[0]) / (WARM_UP_WORDS[1] - WARM_UP_WORDS[0])
    return Shape(counts[0] - WARM_UP_WORDS[0] * per_word, per_word)


def _with_client(address: Address, run: Callable[[Ask], Awaitable[T]]) -> T:
    async def connected() -> T:
        # A connection for each request: servers close one after some, and tell nobody.
        limits = httpx2.Limits(max_keepalive_connections=0)
        async with httpx2.AsyncClient(limits=limits) as client:
            return await run(connect(client, address))

    return asyncio.run(connected())

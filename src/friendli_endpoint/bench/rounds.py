"""Measures a workload on several running servers in interleaved rounds."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import httpx2

from friendli_endpoint.bench.idle import wait_until_idle
from friendli_endpoint.bench.load import SendRequest, connect, read
from friendli_endpoint.bench.prompts import fresh_words
from friendli_endpoint.bench.wire import Address, BenchError, Request, user
from friendli_endpoint.bench.workload import (
    PromptShape,
    RoundInputs,
    Workload,
    WorkloadResult,
    send,
)

__all__ = ["Measurement", "Progress", "Sample", "measure", "warm_up", "with_client"]

T = TypeVar("T")

Progress: TypeAlias = Callable[[str], None]
"""Receives a line of text on the progress of the run."""

WARM_UP_WORDS = (16, 216)
"""Words of two prompts; their token counts, from the server's usage, give the `PromptShape`."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of a workload on one server.

    Attributes:
        outcome: The result of the round.
        seconds: Wall time of the round.
        client_share: CPU time of the client in that time, as a share of one core.
    """

    outcome: WorkloadResult
    seconds: float
    client_share: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """All rounds of a workload.

    Attributes:
        workload: The workload that was measured.
        samples: Samples by server, in the order of the rounds.
        faults: Error message by server, for servers that failed and were left out of later rounds.
    """

    workload: Workload
    samples: Mapping[str, Sequence[Sample]]
    faults: Mapping[str, str] = field(default_factory=dict)

    def values(self, server: str) -> list[float]:
        """Returns the value of each round on a server."""
        return [sample.outcome.value for sample in self.samples[server]]


def measure(
    workload: Workload,
    addresses: Sequence[Address],
    rounds: int,
    seed: str,
    shape: PromptShape,
    progress: Progress,
) -> Measurement:
    """Runs each round on each server; the server that begins rotates from round to round.

    Args:
        workload: The workload to measure.
        addresses: The servers. A server that fails is left out of the remaining rounds.
        rounds: Number of rounds.
        seed: Seed of the prompts, which are the same for all servers within a round.
        shape: Token counts of the model's prompts.
        progress: Receives a line for each value and each failure.
    """
    samples: dict[str, list[Sample]] = {address.name: [] for address in addresses}
    faults: dict[str, str] = {}
    for number in range(rounds):
        inputs = RoundInputs(f"{seed} {workload.name} {number}", shape, f"{seed} {workload.name}")
        first = number % len(addresses)
        for address in (*addresses[first:], *addresses[:first]):
            if address.name in faults:
                continue
            wait_until_idle(server.process_id for server in addresses)
            label = f"{workload.name}, round {number + 1} of {rounds}, {address.name}"
            try:
                sample = _sample(workload, address, inputs)
            except BenchError as error:
                faults[address.name] = str(error)
                progress(f"{label}: {error}")
                continue
            samples[address.name].append(sample)
            progress(f"{label}: {sample.outcome.value:.4g} {workload.unit}")
    return Measurement(workload, samples, faults)


def _sample(workload: Workload, address: Address, inputs: RoundInputs) -> Sample:
    async def run(send_request: SendRequest) -> WorkloadResult:
        return await workload.run(send_request, inputs)

    wall, cpu = time.perf_counter(), time.process_time()
    outcome = with_client(address, run)
    seconds = time.perf_counter() - wall
    return Sample(outcome, seconds, (time.process_time() - cpu) / seconds)


def warm_up(address: Address, seed: str) -> PromptShape:
    """Warms up a server with two requests, and derives the model's prompt shape from their usage.

    Raises:
        BenchError: The server does not answer, or reports no plausible `prompt_tokens`.
    """

    async def run(send_request: SendRequest) -> list[int]:
        texts = [fresh_words(count, f"{seed} {count}") for count in WARM_UP_WORDS]
        responses = await send(send_request, [Request((user(text),), 8) for text in texts])
        return [read(response).prompt_tokens or 0 for response in responses]

    counts = with_client(address, run)
    if not 0 < counts[0] < counts[1]:
        raise BenchError(f"{address.name} does not say how many tokens a prompt has")
    per_word = (counts[1] - counts[0]) / (WARM_UP_WORDS[1] - WARM_UP_WORDS[0])
    return PromptShape(counts[0] - WARM_UP_WORDS[0] * per_word, per_word)


def with_client(address: Address, run: Callable[[SendRequest], Awaitable[T]]) -> T:
    """Runs a coroutine with a new client for a server, and returns its result.

    Args:
        address: The server.
        run: Called with the function that sends requests.
    """

    async def connected() -> T:
        # One connection per request: some servers close a kept-alive one without notice.
        limits = httpx2.Limits(max_keepalive_connections=0)
        async with httpx2.AsyncClient(limits=limits) as client:
            return await run(connect(client, address))

    return asyncio.run(connected())

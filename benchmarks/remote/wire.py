"""CPU time of a token, and time to the first token, over an engine without a model."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

from benchmarks.remote.paced import SEQUENCES
from benchmarks.remote.placements import Placement
from benchmarks.remote.tables import compared, number
from friendli_endpoint.bench.idle import wait_until_idle
from friendli_endpoint.bench.load import SendRequest
from friendli_endpoint.bench.processes import process_cpu_seconds, process_tree
from friendli_endpoint.bench.report import Table
from friendli_endpoint.bench.rounds import Progress, with_client
from friendli_endpoint.bench.scores import first_tokens
from friendli_endpoint.bench.servers import started
from friendli_endpoint.bench.wire import DIALECTS, Address, Request, user
from friendli_endpoint.bench.workload import check_answers, send

__all__ = ["WireCost", "measure_wire", "wire_table"]

TOKENS = 100
BATCHES = 3
SINGLES = 10


@dataclass(frozen=True, slots=True)
class WireCost:
    """Result of one round.

    Attributes:
        total: CPU time of a token of 16 streams in all processes of the endpoint, in seconds.
        front: That of the endpoint's own process.
        first_token: Time to the first token of a stream alone, in seconds.
    """

    total: float
    front: float
    first_token: float


def measure_wire(
    placements: Sequence[Placement], rounds: int, progress: Progress
) -> dict[str, list[WireCost]]:
    """Measures all placements in interleaved rounds; the one that begins rotates.

    Args:
        placements: The placements.
        rounds: Number of rounds.
        progress: Receives a line for each value.

    Raises:
        BenchError: A server does not start, or does not answer as it must.
    """
    costs: dict[str, list[WireCost]] = {placement.name: [] for placement in placements}
    with ExitStack() as stack:
        addresses = [stack.enter_context(_serving(placement)) for placement in placements]
        for address in addresses:
            with_client(address, _batches)  # fills caches
        for round_number in range(rounds):
            first = round_number % len(addresses)
            for address in (*addresses[first:], *addresses[:first]):
                wait_until_idle(server.process_id for server in addresses)
                cost = _cost(address)
                costs[address.name].append(cost)
                progress(
                    f"round {round_number + 1} of {rounds}, {address.name}: "
                    f"{cost.total * 1e6:.0f} µs a token"
                )
    return costs


def wire_table(costs: Mapping[str, Sequence[WireCost]]) -> Table:
    """Returns a row per placement: medians, and comparisons with the first one by round."""
    first, *_ = costs.values()
    rows = []
    for name, measured in costs.items():
        totals, firsts = [cost.total for cost in measured], [cost.first_token for cost in measured]
        row = [name, number(totals, 1e6), number([cost.front for cost in measured], 1e6)]
        if measured is first:
            row += ["", number(firsts, 1e3), ""]
        else:
            row.append(compared([a / b.total for a, b in zip(totals, first, strict=True)]))
            row.append(number(firsts, 1e3))
            added = [(a - b.first_token) * 1e3 for a, b in zip(firsts, first, strict=True)]
            row.append(compared(added))
        rows.append(row)
    columns = ["engine", "CPU µs per token", "of which front", "ratio (95 % interval)"]
    columns += ["first token, ms", "added, ms (95 % interval)"]
    return Table(columns, rows)


@contextmanager
def _serving(placement: Placement) -> Iterator[Address]:
    settings = {**placement.settings, "step_seconds": 600, "log_level": "warning"}
    arguments = ["benchmarks.remote.serving", json.dumps(settings)]
    with started(placement.name, arguments) as (process_id, address):
        url = address + DIALECTS["friendli"].path
        yield Address(placement.name, url, "friendli", process_id=process_id)


def _cost(address: Address) -> WireCost:
    assert address.process_id is not None
    processes = process_tree(address.process_id)
    before = [process_cpu_seconds(process) for process in processes]
    num_tokens = with_client(address, _batches)
    used = [
        process_cpu_seconds(process) - seconds
        for process, seconds in zip(processes, before, strict=True)
    ]
    first_token = with_client(address, _first_token)
    return WireCost(sum(used) / num_tokens, used[0] / num_tokens, first_token)


async def _batches(send_request: SendRequest) -> int:
    """Runs batches of streams, and returns the number of tokens of all."""
    requests = [Request((user(f"stream {index}"),), TOKENS) for index in range(SEQUENCES)]
    for _ in range(BATCHES):
        check_answers(await send(send_request, requests))
    return BATCHES * SEQUENCES * TOKENS


async def _first_token(send_request: SendRequest) -> float:
    """Returns the median time to the first token of streams one after the other, in seconds."""
    times: list[float] = []
    for index in range(SINGLES):
        answers = check_answers(await send(send_request, [Request((user(f"{index}"),), 2)]))
        times += first_tokens(answers)
    return median(times)

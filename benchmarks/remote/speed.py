"""Tokens per second and memory with the embedded model."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.remote.placements import Placement
from benchmarks.remote.tables import compared, number
from friendli_endpoint.bench.load import SendRequest
from friendli_endpoint.bench.processes import Memory, memory, process_tree
from friendli_endpoint.bench.report import Table
from friendli_endpoint.bench.rounds import Measurement, Progress, measure, warm_up, with_client
from friendli_endpoint.bench.servers import ServerCapacity, ours
from friendli_endpoint.bench.wire import Address
from friendli_endpoint.bench.workload import PromptShape, RoundInputs
from friendli_endpoint.bench.workloads import WORKLOADS
from friendli_endpoint.cli.bench import END_TOKENS
from friendli_endpoint.engine.llama.processors import available_threads

__all__ = ["measure_memory", "measure_speed", "memory_table", "speed_table"]

SINGLE, BATCH = WORKLOADS["single"], WORKLOADS["batch16"]
CONTEXT = 1024


def measure_speed(
    placements: Sequence[Placement], model: Path, rounds: int, seed: str, progress: Progress
) -> list[Measurement]:
    """Measures 1 and 16 streams on all placements in interleaved rounds; each round is paired.

    Args:
        placements: The placements, which are served at the same time.
        model: A GGUF file.
        rounds: Number of rounds.
        seed: Seed of the prompts.
        progress: Receives a line for each value.

    Raises:
        BenchError: A server does not start, or does not answer.
    """
    with ExitStack() as stack:
        addresses = [stack.enter_context(_serving(placement, model)) for placement in placements]
        shapes = [warm_up(address, seed) for address in addresses]
        return [
            measure(workload, addresses, rounds, seed, shapes[0], progress)
            for workload in (SINGLE, BATCH)
        ]


def measure_memory(
    placements: Sequence[Placement], model: Path, rounds: int, seed: str, progress: Progress
) -> dict[str, list[Memory]]:
    """Measures the memory of all processes of each placement, served alone, after 16 streams.

    Args:
        placements: The placements.
        model: A GGUF file.
        rounds: Number of starts of each.
        seed: Seed of the prompts.
        progress: Receives a line for each value.

    Raises:
        BenchError: A server does not start, or does not answer.
    """
    found: dict[str, list[Memory]] = {placement.name: [] for placement in placements}
    inputs = RoundInputs(f"{seed} memory", PromptShape(0, 1))

    async def run_batch(send_request: SendRequest) -> None:
        await BATCH.run(send_request, inputs)

    for _ in range(rounds):
        for placement in placements:
            with _serving(placement, model) as address:
                with_client(address, run_batch)
                assert address.process_id is not None
                used = memory(process_tree(address.process_id))
            found[placement.name].append(used)
            progress(f"{placement.name}: {used.proportional / 2**20:.0f} MiB")
    return found


def speed_table(measured: Sequence[Measurement]) -> Table:
    """Returns a row per workload and placement, compared with the first placement by round."""
    rows = []
    for measurement in measured:
        first, *_ = measurement.samples
        values = measurement.values(first)
        for name in measurement.samples:
            own = measurement.values(name)
            ratios = [a / b for a, b in zip(own, values, strict=False)]
            ratio = compared(ratios) if ratios and name != first else ""
            fault = measurement.faults.get(name, "")
            rows.append([measurement.workload.name, name, number(own) if own else fault, ratio])
    return Table(["workload", "engine", "tokens/s", "ratio (95 % interval)"], rows)


def memory_table(found: Mapping[str, Sequence[Memory]]) -> Table:
    """Returns a row per placement: the sums of its processes' proportional and resident sets."""
    columns = ["engine", "proportional set (PSS), MiB", "resident set (RSS), MiB"]
    return Table(
        columns,
        [
            [
                name,
                number([used.proportional for used in memories], 2**-20),
                number([used.resident for used in memories], 2**-20),
            ]
            for name, memories in found.items()
        ],
    )


@contextmanager
def _serving(placement: Placement, model: Path) -> Iterator[Address]:
    capacity = ServerCapacity(16, CONTEXT, available_threads())
    flags = [*placement.flags, "--step-seconds", "600"]  # a busy machine is not a hang
    with ours(model, capacity, flags, placement.name) as server:
        yield Address(
            server.name,
            server.url,
            server.dialect,
            end_tokens=END_TOKENS,
            process_id=server.process_id,
        )

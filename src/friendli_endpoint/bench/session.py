"""Runs a benchmark: starts servers, warms them up, measures each workload, stops the servers."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from friendli_endpoint.bench.machine import machine, versions
from friendli_endpoint.bench.rounds import Measurement, Progress, measure, warm_up
from friendli_endpoint.bench.servers import Server, ServerCapacity, ours, peer
from friendli_endpoint.bench.wire import Address, BenchError
from friendli_endpoint.bench.workload import PromptShape, Workload
from friendli_endpoint.bench.workloads import vocabulary

__all__ = ["BenchPlan", "Report", "run"]


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """Servers and workloads of a benchmark run.

    Attributes:
        addresses: Servers that run already.
        ours: Whether to start this endpoint.
        peers: Peers to start, as keys of `servers.PEERS`.
        model: GGUF file for this endpoint.
        peer_model: GGUF file for the peers.
        serve_flags: Further flags for this endpoint.
        vocabularies: Pairs of vocabulary size and GGUF file, on which the step time is measured.
        workloads: Workloads to measure on all servers.
        rounds: Number of rounds.
        capacity: Capacity of the servers that are started.
        end_tokens: EOS ids of the model.
    """

    addresses: Sequence[Address]
    ours: bool
    peers: Sequence[str]
    model: Path
    peer_model: Path
    serve_flags: Sequence[str]
    vocabularies: Sequence[tuple[int, Path]]
    workloads: Sequence[Workload]
    rounds: int
    capacity: ServerCapacity
    end_tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Results of a benchmark run.

    Attributes:
        day: Date of the run, in ISO form.
        machine: Description of the machine.
        versions: Versions of the packages that take part, by name.
        rounds: Requested number of rounds.
        measured: Measurements, in the order of the workloads.
        memory: Peak resident bytes of each server that was started, by name.
    """

    day: str
    machine: str
    versions: dict[str, str]
    rounds: int
    measured: Sequence[Measurement]
    memory: dict[str, int]


def run(plan: BenchPlan, progress: Progress) -> Report:
    """Runs a benchmark plan.

    Args:
        plan: Servers and workloads.
        progress: Receives a line for each started server and each value.

    Raises:
        BenchError: The plan is invalid, or a server does not start or does not answer. A server
            that fails during a workload is only left out of that workload.
    """
    _check(plan)
    seed = secrets.token_hex(8)
    memory: dict[str, int] = {}
    measured = []
    with ExitStack() as stack:
        started = stack.enter_context(_serving(plan, plan.model, plan.peer_model, memory, progress))
        addresses = [*started, *plan.addresses]
        shape = _warm(addresses, seed)
        for workload in plan.workloads:
            with _variants(plan, workload, memory, progress) as variants:
                _warm(variants, seed)
                servers = [*addresses, *variants]
                measured.append(measure(workload, servers, plan.rounds, seed, shape, progress))
    for size, model in plan.vocabularies:
        with _serving(plan, model, model, {}, progress) as started:
            shape = _warm(started, seed)
            measured.append(measure(vocabulary(size), started, plan.rounds, seed, shape, progress))
    return Report(date.today().isoformat(), machine(), versions(), plan.rounds, measured, memory)


@contextmanager
def _serving(
    plan: BenchPlan, model: Path, peer_model: Path, memory: dict[str, int], progress: Progress
) -> Iterator[list[Address]]:
    """Starts the servers of the plan, this endpoint first."""
    starts = [ours(model, plan.capacity, plan.serve_flags)] if plan.ours else []
    starts += [peer(name, peer_model, plan.capacity) for name in plan.peers]
    with _started(plan, starts, memory, progress) as addresses:
        yield addresses


@contextmanager
def _variants(
    plan: BenchPlan, workload: Workload, memory: dict[str, int], progress: Progress
) -> Iterator[list[Address]]:
    """Starts the variants of a workload that do not run yet, if the plan has a peer."""
    names = [name for name in workload.variants if plan.peers and name not in plan.peers]
    starts = [peer(name, plan.peer_model, plan.capacity) for name in names]
    with _started(plan, starts, memory, progress) as addresses:
        yield addresses


@contextmanager
def _started(
    plan: BenchPlan,
    starts: Sequence[AbstractContextManager[Server]],
    memory: dict[str, int],
    progress: Progress,
) -> Iterator[list[Address]]:
    """Starts servers one after the other; stores their peak memory in `memory` at the end."""
    with ExitStack() as stack:
        servers = []
        for start in starts:
            servers.append(stack.enter_context(start))
            progress(f"started {servers[-1].name}")
        yield [
            Address(
                server.name,
                server.url,
                server.dialect,
                end_tokens=plan.end_tokens,
                process_id=server.process_id,
            )
            for server in servers
        ]
        for server in servers:
            peak = server.peak_memory()
            if peak is not None:
                memory[server.name] = peak


def _check(plan: BenchPlan) -> None:
    """Raises `BenchError` if the plan has a server twice or nothing to measure."""
    starts = plan.ours or plan.peers
    names = [*plan.peers, *(address.name for address in plan.addresses)]
    duplicates = [name for name in names if names.count(name) > 1]
    if duplicates:
        raise BenchError(f"{duplicates[0]} is given twice")
    if not starts and not plan.addresses:
        raise BenchError("there is nothing to measure: pass --url or --peer")
    if not starts and plan.vocabularies:
        raise BenchError("--vocabulary needs a server to start: pass --ours or --peer")


def _warm(addresses: Sequence[Address], seed: str) -> PromptShape:
    """Warms up all servers; returns the prompt shape of the first."""
    shapes = [warm_up(address, seed) for address in addresses]
    return shapes[0] if shapes else PromptShape(0, 1)

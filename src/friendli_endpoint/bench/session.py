"""A whole run: servers started, warmed up, measured workload by workload, and stopped."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from friendli_endpoint.bench.machine import machine, versions
from friendli_endpoint.bench.rounds import Measured, Tell, measure, warm_up
from friendli_endpoint.bench.servers import Capacity, Server, ours, peer
from friendli_endpoint.bench.wire import Address, BenchError
from friendli_endpoint.bench.workload import Shape, Workload
from friendli_endpoint.bench.workloads import vocabulary

__all__ = ["Plan", "Report", "run"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and on what.

    Attributes:
        addresses: Servers that run already.
        ours: Whether to start our endpoint.
        peers: Which others to start, by their names in `servers.PEERS`.
        model: GGUF file for the servers that are started.
        peer_model: The same for the peers.
        serve_flags: More flags for our endpoint.
        vocabularies: Further files to take the time of a step on, by the size of their vocabulary.
        workloads: What to measure on all of them.
        rounds: How often.
        capacity: Of the servers that are started.
        end_tokens: Of the model.
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
    capacity: Capacity
    end_tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run.

    Attributes:
        day: When it was, in ISO form.
        machine: What it ran on.
        versions: Of the packages that take part.
        rounds: How many were asked for.
        measured: By workload, in order.
        memory: Most resident bytes of each server that was started.
    """

    day: str
    machine: str
    versions: dict[str, str]
    rounds: int
    measured: Sequence[Measured]
    memory: dict[str, int]


def run(plan: Plan, tell: Tell) -> Report:
    """Measures everything.

    Raises:
        BenchError: A server does not start or does not answer; one that fails at a workload only is
            left out of that.
    """
    _check(plan)
    seed = secrets.token_hex(8)
    memory: dict[str, int] = {}
    measured = []
    with ExitStack() as stack:
        started = stack.enter_context(_serving(plan, plan.model, plan.peer_model, memory, tell))
        addresses = [*started, *plan.addresses]
        shape = _warm(addresses, seed)
        for workload in plan.workloads:
            with _variants(plan, workload, memory, tell) as further:
                _warm(further, seed)
                every = [*addresses, *further]
                measured.append(measure(workload, every, plan.rounds, seed, shape, tell))
    for size, model in plan.vocabularies:
        with _serving(plan, model, model, {}, tell) as started:
            shape = _warm(started, seed)
            measured.append(measure(vocabulary(size), started, plan.rounds, seed, shape, tell))
    return Report(date.today().isoformat(), machine(), versions(), plan.rounds, measured, memory)


@contextmanager
def _serving(
    plan: Plan, model: Path, peer_model: Path, memory: dict[str, int], tell: Tell
) -> Iterator[list[Address]]:
    """The servers to start, ours first."""
    starts = [ours(model, plan.capacity, plan.serve_flags)] if plan.ours else []
    starts += [peer(name, peer_model, plan.capacity) for name in plan.peers]
    with _started(plan, starts, memory, tell) as addresses:
        yield addresses


@contextmanager
def _variants(
    plan: Plan, workload: Workload, memory: dict[str, int], tell: Tell
) -> Iterator[list[Address]]:
    """The further peers that a workload is interesting on, where there is a peer at all."""
    names = [name for name in workload.variants if plan.peers and name not in plan.peers]
    starts = [peer(name, plan.peer_model, plan.capacity) for name in names]
    with _started(plan, starts, memory, tell) as addresses:
        yield addresses


@contextmanager
def _started(
    plan: Plan,
    starts: Sequence[AbstractContextManager[Server]],
    memory: dict[str, int],
    tell: Tell,
) -> Iterator[list[Address]]:
    """Starts servers one after the other; notes at the end what memory they took."""
    with ExitStack() as stack:
        servers = []
        for start in starts:
            servers.append(stack.enter_context(start))
            tell(f"started {servers[-1].name}")
        yield [
            Address(
                server.name,
                server.url,
                server.dialect,
                end_tokens=plan.end_tokens,
                process=server.process,
            )
            for server in servers
        ]
        for server in servers:
            peak = server.peak_memory()
            if peak is not None:
                memory[server.name] = peak


def _check(plan: Plan) -> None:
    """Refuses a plan that would come to nothing."""
    starts = plan.ours or plan.peers
    names = [*plan.peers, *(address.name for address in plan.addresses)]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise BenchError(f"{twice[0]} is named twice")
    if not starts and not plan.addresses:
        raise BenchError("there is nothing to measure: name a --url or a --peer")
    if not starts and plan.vocabularies:
        raise BenchError("--vocabulary needs a server to start: name --ours or a --peer")


def _warm(addresses: Sequence[Address], seed: str) -> Shape:
    """Warms all of them up; the first one tells how long prompts are."""
    shapes = [warm_up(address, seed) for address in addresses]
    return shapes[0] if shapes else Shape(0, 1)

"""A cluster without Ray: replicas in this process, whose engines are child processes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from friendli_endpoint.engine.remote.child import ChildSetup
from friendli_endpoint.engine.remote.fleet import EngineFleet
from friendli_endpoint.engine.remote.loop_thread import LoopThread
from friendli_endpoint.engine.remote.ray.placement import RayEngines
from friendli_endpoint.engine.remote.ray.replica import EngineReplica, ReplicaState
from friendli_endpoint.generation import StepReport
from tests.support.scripted import PATIENCE

__all__ = ["SETTINGS", "ScriptedCluster", "cluster_of", "front_of"]

SETTINGS = "settings"

T = TypeVar("T")


class ScriptedCluster:
    """Replicas that a test starts and removes; `ask` is what a deployment handle does.

    Args:
        setup: Setup of the engines.
        max_stalled: As for `EngineReplica`.

    Attributes:
        replicas: The replicas that answer.
        lacks: Whether the cluster has no processors for the engines.
        wanted: Number of engines that an endpoint waits for.
    """

    def __init__(self, setup: ChildSetup, max_stalled: float = PATIENCE) -> None:
        self._setup = replace(setup, host="127.0.0.1")
        self._max_stalled = max_stalled
        self._thread = LoopThread("cluster")
        self._all: list[EngineReplica] = []
        self.replicas: list[EngineReplica] = []
        self.lacks = False
        self.wanted = 1

    def add(self, setup: ChildSetup | None = None, settings: str = SETTINGS) -> EngineReplica:
        """Starts a replica, and waits until its engine is open or cannot be opened."""
        own = replace(setup, host="127.0.0.1") if setup is not None else self._setup

        async def start() -> EngineReplica:
            replica = EngineReplica(own, settings, self._max_stalled)
            await replica.check_health()
            return replica

        replica = self._run(start())
        self._all.append(replica)
        self.replicas.append(replica)
        return replica

    def remove(self, replica: EngineReplica) -> None:
        """Removes a replica from those that answer, and ends it when its requests have ended."""
        self.replicas.remove(replica)
        self._thread.submit(replica.leave())

    def state(self, replica: EngineReplica) -> ReplicaState:
        """Returns the state of a replica, whether or not it answers."""
        return self._run(replica.state())

    def start(self) -> int:
        return self.wanted

    def ask(self) -> Sequence[ReplicaState]:
        return [self.state(replica) for replica in tuple(self.replicas)]

    def progress(self) -> str:
        return "2 replicas wait to be scheduled"

    def lacks_processors(self) -> bool:
        return self.lacks

    def close(self) -> None:
        """Does nothing, as the test ends the cluster."""

    def end(self) -> None:
        """Ends all replicas."""
        for replica in self._all:
            self._run(replica.leave())
        self._thread.stop()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._thread.submit(work).result(PATIENCE)


@asynccontextmanager
async def cluster_of(
    setup: ChildSetup, num_replicas: int, max_stalled: float = PATIENCE
) -> AsyncIterator[ScriptedCluster]:
    """Starts a cluster with replicas, and ends it."""
    cluster = ScriptedCluster(setup, max_stalled)
    try:
        for _ in range(num_replicas):
            await asyncio.to_thread(cluster.add)
        cluster.wanted = num_replicas
        yield cluster
    finally:
        await asyncio.to_thread(cluster.end)


@asynccontextmanager
async def front_of(
    cluster: ScriptedCluster, report: Callable[[StepReport], None] = lambda _report: None
) -> AsyncIterator[EngineFleet]:
    """Connects an endpoint's fleet to a cluster, and closes it."""
    fleet = EngineFleet(RayEngines(cluster, SETTINGS, PATIENCE), report)
    try:
        await asyncio.to_thread(fleet.open)
        yield fleet
    finally:
        await fleet.aclose()

"""Engines as replicas of a Ray Serve deployment, for a fleet."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from friendli_endpoint.engine.remote.member import Member, Observer
from friendli_endpoint.engine.remote.ray.discovery import Discovery
from friendli_endpoint.engine.remote.ray.replica import ReplicaState
from friendli_endpoint.generation import ModelCard, StartError

__all__ = ["EngineCluster", "RayEngines"]

log = logging.getLogger("friendli_endpoint.engine")

POLL_SECONDS = 0.1
"""Interval at which the start looks for engines that are open."""

PROGRESS_SECONDS = 15.0
"""Interval at which the start says what it waits for."""

START_SECONDS = 900.0
"""Maximum time without another engine, at the start."""

SCHEDULE_SECONDS = 90.0
"""Maximum time, at the start, in which the cluster has no processors for an engine."""


class EngineCluster(Protocol):
    """The cluster that runs the engines; all methods block."""

    def start(self) -> int:
        """Connects to the cluster, and creates the application of the engines unless it exists.

        Returns:
            The number of engines to wait for.

        Raises:
            StartError: The cluster cannot be reached, or it refuses the application.
        """
        ...

    def ask(self) -> Sequence[ReplicaState]:
        """Returns the states of the replicas that answer; any exception if none can be asked."""
        ...

    def progress(self) -> str:
        """Returns what Ray says about the application in a sentence."""
        ...

    def lacks_processors(self) -> bool:
        """Returns whether an engine waits for processors of the cluster, for half a minute."""
        ...

    def close(self) -> None:
        """Deletes the application if this connection has created it, and disconnects."""
        ...


class RayEngines:
    """EnginePlacement of engines as replicas of a Ray Serve deployment.

    Args:
        cluster: The cluster.
        settings: Digest of the settings of the engines.
        max_stalled: Seconds without a step, while there is work, after which an engine is replaced.
    """

    def __init__(self, cluster: EngineCluster, settings: str, max_stalled: float) -> None:
        self._cluster = cluster
        self._discovery = Discovery(cluster.ask, settings, max_stalled)

    @property
    def members(self) -> Sequence[Member]:
        """The engines that are found."""
        return self._discovery.members

    async def open(self, observer: Observer) -> ModelCard:
        """Starts the engines, and waits for them; one is enough if they are there already.

        Raises:
            StartError: The cluster cannot be used, or an engine cannot be opened.
        """
        wanted = await asyncio.to_thread(self._cluster.start)
        self._discovery.start(observer)
        return await self._wait(wanted)

    async def aclose(self) -> None:
        """Closes the connections, and deletes the application if it was created here."""
        await self._discovery.aclose()
        await asyncio.to_thread(self._cluster.close)

    async def _wait(self, wanted: int) -> ModelCard:
        clock, found = asyncio.get_running_loop().time, self._discovery
        num_open, since = 0, clock()
        said = lacking = since
        while found.num_open < wanted or found.card is None:
            if found.failure is not None:
                raise StartError(found.failure)
            if found.num_open > num_open:
                num_open, since = found.num_open, clock()
            if clock() - said > PROGRESS_SECONDS:
                said = clock()
                progress = await asyncio.to_thread(self._cluster.progress)
                log.warning("%d of %d engines serve; Ray says: %s", num_open, wanted, progress)
                if not await asyncio.to_thread(self._cluster.lacks_processors):
                    lacking = clock()
            if max(clock() - since - START_SECONDS, clock() - lacking - SCHEDULE_SECONDS) > 0:
                progress = await asyncio.to_thread(self._cluster.progress)
                raise StartError(
                    f"only {num_open} of {wanted} engines serve after {clock() - since:.0f} s; "
                    f"Ray says: {progress}"
                )
            await asyncio.sleep(POLL_SECONDS)
        return found.card

"""Options of engines in a Ray cluster, and the placement for them."""

import hashlib
import importlib.util
from dataclasses import dataclass
from typing import Any

from friendli._install import install_extra
from friendli_endpoint.engine.remote.ray.cluster import Cluster, HandleCluster
from friendli_endpoint.engine.remote.ray.deployment import EngineDeployment, Processors
from friendli_endpoint.engine.remote.ray.placement import RayEngines
from friendli_endpoint.engine.remote.source import SetupMaker
from friendli_endpoint.generation import StartError

__all__ = ["RayOptions"]

DRAIN_SECONDS = 600.0
"""Maximum time for an engine that is removed to finish its requests, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions:
    """Options of engines in a Ray cluster.

    Attributes:
        address: Address of the cluster's head node, or `local` to start a cluster here.
        app: Name of the engines' application.
        num_engines: Number of engines, or the minimum one.
        max_engines: Maximum number of engines; equal to `num_engines` without autoscaling.
        threads: Compute threads of an engine, and processors that it reserves; None for an equal
            share of the processors of the cluster.
        available_threads: Number of processors of this machine.
        choices: Number of choices for which one engine is enough.
        max_stalled: Seconds without a step, while there is work, after which an engine is replaced.
        max_answer_seconds: Maximum time of a request in seconds, or None.
        settings: Text that tells apart engines with different settings.
    """

    address: str
    app: str
    num_engines: int
    max_engines: int
    threads: int | None
    available_threads: int
    choices: int
    max_stalled: float
    max_answer_seconds: float | None
    settings: str

    def check(self) -> None:
        """Checks that Ray is installed.

        Raises:
            StartError: It is not.
        """
        if importlib.util.find_spec("ray") is None:
            raise StartError(f"--ray needs Ray Serve: {install_extra('ray')}")

    def placement(self, setup: SetupMaker) -> RayEngines:
        """Returns the placement of engines in the cluster.

        Args:
            setup: Makes the setup of an engine.
        """
        processors = max(self.available_threads, self.max_engines * (self.threads or 1))

        def deployment_of(found: Processors) -> EngineDeployment:
            return self.deployment(setup, found)

        cluster = Cluster(self.address, self.app, processors, deployment_of)
        return RayEngines(cluster, self.digest, self.max_stalled)

    def placement_of(self, handle: Any) -> RayEngines:
        """Returns the placement of engines that somebody else has deployed.

        Args:
            handle: Handle of their deployment.
        """
        return RayEngines(HandleCluster(handle), self.digest, self.max_stalled)

    def deployment(self, setup: SetupMaker, processors: Processors) -> EngineDeployment:
        """Returns the deployment of the engines.

        Args:
            setup: Makes the setup of an engine.
            processors: The processors of the cluster.

        Raises:
            StartError: The model cannot be served.
        """
        share = min(processors.total // self.max_engines, processors.on_one_node)
        threads = self.threads or max(1, share)
        per_node = max(1, processors.on_one_node // threads)
        return EngineDeployment(
            setup=setup(threads=threads, num_engines=min(self.max_engines, per_node)),
            settings=self.digest,
            max_stalled=self.max_stalled,
            num_engines=self.num_engines,
            max_engines=self.max_engines,
            num_processors=threads,
            choices=self.choices,
            drain_seconds=max(DRAIN_SECONDS, self.max_answer_seconds or 0.0),
        )

    @property
    def digest(self) -> str:
        """Digest of the settings of the engines."""
        return hashlib.sha256(self.settings.encode()).hexdigest()

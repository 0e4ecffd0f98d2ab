"""Configuration of the engines' deployment, as plain data."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from friendli_endpoint.engine.remote.child import ChildSetup
from friendli_endpoint.engine.remote.ray.replica import EngineReplica
from friendli_endpoint.engine.remote.ray.scaling import POLICY

__all__ = ["DEPLOYMENT", "DrainedReplica", "EngineDeployment", "Processors"]

DEPLOYMENT = "engines"
"""Name of the deployment in its application."""

UPSCALE_SECONDS = 10.0
"""Seconds for which a load must last until engines are added."""

DOWNSCALE_SECONDS = 60.0
"""Seconds for which engines must be superfluous until some are removed."""


class DrainedReplica(EngineReplica):
    """A replica on a node of a cluster, which Ray Serve drains."""

    def __init__(self, setup: ChildSetup, settings: str, max_stalled: float) -> None:
        super().__init__(replace(setup, host=_address_of_node()), settings, max_stalled)

    async def __del__(self) -> None:
        """Finishes the requests; Ray Serve calls it, for at most the graceful timeout."""
        await self.leave()


def _address_of_node() -> str:
    """Returns the address at which the other nodes reach this one."""
    import ray

    own = ray.get_runtime_context().get_node_id()
    (node,) = (node for node in ray.nodes() if node["NodeID"] == own)
    return str(node["NodeManagerAddress"])


class Processors(NamedTuple):
    """Processors of a cluster.

    Attributes:
        total: Those of all nodes.
        on_one_node: Those of the node that has most.
    """

    total: int
    on_one_node: int


@dataclass(frozen=True, slots=True)
class EngineDeployment:
    """Configuration of the deployment.

    Attributes:
        setup: Setup of an engine's process.
        settings: Digest of the settings of the engines.
        max_stalled: As for `EngineReplica`.
        num_engines: Number of engines, or the minimum one.
        max_engines: Maximum number of engines; equal to `num_engines` without autoscaling.
        num_processors: Processors that each engine reserves.
        choices: Number of choices for which one engine is enough.
        drain_seconds: Maximum time for an engine to finish its requests, in seconds.
    """

    setup: ChildSetup
    settings: str
    max_stalled: float
    num_engines: int
    max_engines: int
    num_processors: int
    choices: int
    drain_seconds: float

    @property
    def replica(self) -> type[EngineReplica]:
        """The class of a replica."""
        return DrainedReplica

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The arguments of a replica."""
        return self.setup, self.settings, self.max_stalled

    @property
    def options(self) -> dict[str, Any]:
        """The options of `serve.deployment`."""
        options: dict[str, Any] = {
            "name": DEPLOYMENT,
            "ray_actor_options": {"num_cpus": self.num_processors},
            "graceful_shutdown_timeout_s": self.drain_seconds,
            "graceful_shutdown_wait_loop_s": 0.1,
            "health_check_period_s": 5.0,
            "health_check_timeout_s": 15.0,
            "max_ongoing_requests": 1000,
            "logging_config": {"enable_access_log": False},
        }
        if self.max_engines == self.num_engines:
            return {**options, "num_replicas": self.num_engines}
        scaling = {
            "min_replicas": self.num_engines,
            "max_replicas": self.max_engines,
            "target_ongoing_requests": self.choices,
            "upscale_delay_s": UPSCALE_SECONDS,
            "downscale_delay_s": DOWNSCALE_SECONDS,
            "metrics_interval_s": 1.0,
            "look_back_period_s": 5.0,
            "policy": {"policy_function": POLICY},
        }
        return {**options, "autoscaling_config": scaling}

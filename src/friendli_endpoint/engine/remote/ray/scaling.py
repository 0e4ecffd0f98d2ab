"""Number of engines for a load; Ray Serve calls it by name."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

from friendli_endpoint.engine.remote.ray.replica import CHOICES

__all__ = ["POLICY", "Scaling", "num_engines"]

POLICY = f"{__name__}:num_engines"
"""Name of the policy in the configuration of a deployment."""


class _Config(Protocol):
    @property
    def target_ongoing_requests(self) -> float: ...


class Scaling(Protocol):
    """Part of `ray.serve.config.AutoscalingContext` that the policy reads."""

    @property
    def config(self) -> _Config:
        """The configuration: `target_ongoing_requests` is the number of choices of an engine."""
        ...

    @property
    def current_num_replicas(self) -> int:
        """Number of replicas that run."""
        ...

    @property
    def aggregated_metrics(self) -> Mapping[str, Mapping[Any, float]] | None:
        """Metrics by name and replica, averaged over some seconds."""
        ...


def num_engines(scaling: Scaling) -> tuple[int, dict[str, Any]]:
    """Returns how many engines compute the choices that run and wait, before Ray's bounds.

    Requests do not pass through Ray, so the number comes from the engines. As long as none has
    reported one, the number of engines stays.
    """
    choices = (scaling.aggregated_metrics or {}).get(CHOICES)
    if not choices:
        return scaling.current_num_replicas, {}
    return math.ceil(sum(choices.values()) / scaling.config.target_ongoing_requests), {}

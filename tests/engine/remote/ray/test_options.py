"""Options of engines in a Ray cluster: their processors, their number, and their drain."""

import importlib.util
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.remote.child import ChildSetup
from friendli_endpoint.engine.remote.ray.deployment import EngineDeployment, Processors
from friendli_endpoint.engine.remote.ray.options import DRAIN_SECONDS, RayOptions
from friendli_endpoint.engine.remote.ray.scaling import POLICY
from friendli_endpoint.generation import StartError
from tests.engine.remote.scripted_child import ScriptedOpener, scripted_guides

OPTIONS = RayOptions(
    address="local",
    app="a",
    num_engines=2,
    max_engines=2,
    threads=None,
    available_threads=2,
    choices=16,
    max_stalled=30.0,
    max_answer_seconds=None,
    settings="s",
)

COUNTS = st.integers(1, 64)


def deployment(
    options: RayOptions, processors: Processors
) -> tuple[EngineDeployment, list[tuple[int | None, int | None]]]:
    """Returns a deployment, and the shares that its engines were given."""
    shares: list[tuple[int | None, int | None]] = []

    def setup(*, threads: int | None = None, num_engines: int | None = None) -> ChildSetup:
        shares.append((threads, num_engines))
        return ChildSetup(ScriptedOpener(Path("/none")), scripted_guides, 1.0, logging.INFO)

    return options.deployment(setup, processors), shares


@given(COUNTS, st.integers(0, 63), st.none() | COUNTS, COUNTS, COUNTS)
def test_engines_reserve_their_threads_and_fit_into_the_cluster(
    num_engines: int, more: int, threads: int | None, nodes: int, size: int
) -> None:
    options = replace(
        OPTIONS, num_engines=num_engines, max_engines=num_engines + more, threads=threads
    )
    made, ((own, sharing),) = deployment(options, Processors(nodes * size, size))
    assert made.num_processors == own and sharing is not None and own is not None
    assert own == (threads or own) and own >= 1
    assert 1 <= sharing <= num_engines + more
    if threads is None and nodes * size >= num_engines + more:
        assert own <= size and own * (num_engines + more) <= nodes * size


def test_a_fixed_number_of_engines_is_not_scaled() -> None:
    options = deployment(OPTIONS, Processors(2, 2))[0].options
    assert options["num_replicas"] == 2 and "autoscaling_config" not in options
    assert options["ray_actor_options"] == {"num_cpus": 1}


def test_more_engines_come_with_more_choices() -> None:
    options = deployment(replace(OPTIONS, max_engines=5), Processors(5, 5))[0].options
    scaling = options["autoscaling_config"]
    assert "num_replicas" not in options
    assert (scaling["min_replicas"], scaling["max_replicas"]) == (2, 5)
    assert scaling["target_ongoing_requests"] == 16
    module, _, function = scaling["policy"]["policy_function"].partition(":")
    assert hasattr(importlib.import_module(module), function) and f"{module}:{function}" == POLICY


@pytest.mark.parametrize(
    ("answer", "drain"), [(None, DRAIN_SECONDS), (60.0, DRAIN_SECONDS), (3600.0, 3600.0)]
)
def test_an_engine_that_is_removed_has_time_for_the_longest_answer(
    answer: float | None, drain: float
) -> None:
    made, _ = deployment(replace(OPTIONS, max_answer_seconds=answer), Processors(2, 2))
    assert made.options["graceful_shutdown_timeout_s"] == drain


def test_other_settings_have_another_digest() -> None:
    assert OPTIONS.digest == replace(OPTIONS, app="b").digest
    assert OPTIONS.digest != replace(OPTIONS, settings="t").digest


def test_without_ray_the_error_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(StartError, match=r"--ray needs Ray Serve: .*\[ray\]"):
        OPTIONS.check()

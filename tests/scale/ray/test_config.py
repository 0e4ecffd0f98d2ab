"""Engines that a configuration of Ray Serve runs: found, scaled, replaced, and not ended."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.contract.live import Live, until
from tests.contract.served import Served, served
from tests.scale.engines import SECONDS, metric
from tests.scale.ray.clusters import Cluster, cluster, free_port
from tests.scale.streams import Clients
from tests.support.lora import write_loras
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs

pytestmark = pytest.mark.model

STREAMS = range(0, 80, 2)
"""Numbers of requests that are streams."""

APP = "friendli-engines"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a model, beside an adapter for it."""
    folder = tmp_path_factory.mktemp("model")
    path = write_byte_pairs(folder / "model.gguf", LLAMA)
    write_loras(folder, path, range(1))
    return path


@pytest.fixture(scope="module")
def ray(model: Path) -> Iterator[Cluster]:
    with cluster(4) as found:
        yield found


@pytest.fixture(scope="module")
def proxy_port() -> int:
    return free_port()


def arguments(model: Path, **settings: Any) -> dict[str, Any]:
    """Returns the arguments of an application."""
    fixed = {"model": str(model), "engines": 2, "threads": 1, "context": 4096, "max_sequences": 4}
    return {**fixed, "adapter": [f"one={model.parent / 'lora-0.gguf'}"], **settings}


@contextmanager
def serving(model: Path, cluster: Cluster, **settings: Any) -> Iterator[Served]:
    """Serves with engines of a cluster, with the same settings as theirs by default."""
    given = {**arguments(model), "ray": cluster.address, **settings}
    given["adapter"] = given["adapter"][0]
    flags = [(f"--{name.replace('_', '-')}", str(value)) for name, value in given.items()]
    with (
        mock.patch.dict(os.environ, cluster.variables),
        served(*chain.from_iterable(flags)) as endpoint,
    ):
        yield endpoint


def engines(model: Path, num_replicas: int) -> dict[str, Any]:
    """Returns the configuration of an application with engines only."""
    return {
        "name": APP,
        "route_prefix": None,
        "import_path": "friendli_endpoint.ray_app:engines",
        "args": arguments(model),
        "deployments": [{"name": "engines", "num_replicas": num_replicas}],
    }


def test_scaling_down_and_up_by_configuration_cuts_no_stream(
    ray: Cluster, model: Path, proxy_port: int
) -> None:
    ray.deploy(engines(model, 2), proxy_port=proxy_port)
    ray.until_running(APP)
    with serving(model, ray) as endpoint:
        until(lambda: metric(endpoint, "engines") == 2, SECONDS, "both engines are found")
        alone = asyncio.run(Clients(endpoint.address).one_by_one(STREAMS))
        for wanted in (1, 2):
            accepted: list[int] = []

            def scale(wanted: int = wanted, accepted: list[int] = accepted) -> None:
                accepted.append(wanted)
                if len(accepted) == len(STREAMS):
                    ray.deploy(engines(model, wanted), proxy_port=proxy_port)

            clients = Clients(endpoint.address, on_accept=scale)
            assert asyncio.run(clients.all(STREAMS)) == alone
            until(
                lambda wanted=wanted: metric(endpoint, "engines") == wanted,  # type: ignore[misc]
                SECONDS,
                f"{wanted} engines serve",
            )
    assert ray.status(APP) == "RUNNING", "an endpoint ends only what it has created"


def test_engines_with_other_settings_are_an_error_in_a_sentence(
    ray: Cluster, model: Path, proxy_port: int
) -> None:
    ray.deploy(engines(model, 2), proxy_port=proxy_port)
    ray.until_running(APP)
    with (
        pytest.raises(AssertionError, match="run with other settings"),
        serving(model, ray, context=512),
    ):
        pass


def test_the_whole_endpoint_answers_behind_the_proxy_of_ray(
    ray: Cluster, model: Path, proxy_port: int
) -> None:
    application = {
        "name": "friendli",
        "route_prefix": "/",
        "import_path": "friendli_endpoint.ray_app:build",
        "args": arguments(model, engines=1, host="127.0.0.1"),
    }
    ray.deploy(application, proxy_port=proxy_port)
    ray.until_running("friendli")
    address = f"http://127.0.0.1:{proxy_port}"
    live = Live(address)
    until(lambda: live.request("GET", "/health").status_code == 200, SECONDS, "it serves")
    alone = asyncio.run(Clients(address).one_by_one(STREAMS[:8]))
    assert asyncio.run(Clients(address).all(STREAMS[:8])) == alone


def test_an_address_without_a_cluster_is_an_error_in_a_sentence(model: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with (
        pytest.raises(AssertionError, match=f"cannot use the Ray cluster {address}"),
        served("--model", str(model), "--ray", address),
    ):
        pass

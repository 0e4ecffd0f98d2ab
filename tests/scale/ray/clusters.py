"""A Ray cluster of one node that is not an endpoint's own, and applications in it."""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.contract.live import environment, until

__all__ = ["Cluster", "cluster", "free_port"]

START_SECONDS = 120.0
DEPLOY_SECONDS = 120.0


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes:
        address: Address of its head node.
        dashboard: URL of its dashboard, which takes configurations.
        variables: Environment variables of programs that use it.
    """

    address: str
    dashboard: str
    variables: dict[str, str]

    def deploy(self, *applications: dict[str, Any], proxy_port: int) -> None:
        """Gives Ray Serve a configuration; does not wait until it is carried out."""
        config = {
            "proxy_location": "EveryNode",
            "http_options": {"host": "127.0.0.1", "port": proxy_port},
            "applications": list(applications),
        }
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            json.dump(config, file)
            file.flush()
            command = [sys.executable, "-m", "ray.serve.scripts", "deploy", file.name]
            subprocess.run(
                [*command, "--address", self.dashboard],
                env=environment(**self.variables),
                check=True,
                stdout=subprocess.DEVNULL,
            )

    def status(self, application: str) -> str:
        """Returns the status of an application, and the message if it has failed."""
        url = f"{self.dashboard}/api/serve/applications/"
        headers = {"authorization": f"Bearer {self.variables['RAY_AUTH_TOKEN']}"}
        found = httpx2.get(url, headers=headers, trust_env=False).json()["applications"]
        state = found.get(application, {})
        assert state.get("status") != "DEPLOY_FAILED", state["message"]
        return str(state.get("status"))

    def until_running(self, application: str) -> None:
        """Waits until all replicas of an application run."""
        until(lambda: self.status(application) == "RUNNING", DEPLOY_SECONDS, "it is deployed")


def free_port() -> int:
    """Returns a TCP port of the loopback interface that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def cluster(num_processors: int) -> Iterator[Cluster]:
    """Starts a cluster that needs a token, and stops it at the end."""
    head, dashboard = free_port(), free_port()
    variables = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += ["--node-ip-address=127.0.0.1", f"--port={head}"]
    command += ["--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
    command += [f"--num-cpus={num_processors}", f"--object-store-memory={80 << 20}"]
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        process = subprocess.Popen(
            [*command, f"--temp-dir={folder}"],
            env=environment(**variables),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            found = Cluster(f"127.0.0.1:{head}", f"http://127.0.0.1:{dashboard}", variables)
            until(lambda: _answers(found.dashboard), START_SECONDS, "the cluster has started")
            yield found
        finally:
            process.terminate()
            process.wait(START_SECONDS)
    assert not Path(folder).exists()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, trust_env=False).status_code < 500
    except httpx2.HTTPError:
        return False

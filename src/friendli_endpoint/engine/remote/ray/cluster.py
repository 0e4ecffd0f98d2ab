"""The application of the engines in a Ray cluster, and the questions to its replicas."""

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

from friendli_endpoint.engine.remote.ray.deployment import (
    DEPLOYMENT,
    EngineDeployment,
    Processors,
)
from friendli_endpoint.engine.remote.ray.joining import (
    LOCAL,
    connect,
    first_line,
    set_environment,
    start_local,
)
from friendli_endpoint.engine.remote.ray.replica import ReplicaState
from friendli_endpoint.generation import StartError

__all__ = ["ASK_SECONDS", "Cluster", "HandleCluster", "engines_of"]

ASK_SECONDS = 5.0
"""Maximum time for all replicas to answer."""

CLOSE_SECONDS = 10.0
"""Maximum time that closing waits for a start."""


class Cluster:
    """A Ray cluster with the application of the engines; its methods block for seconds.

    Args:
        address: Address of the cluster's head node, or `local` to start a cluster here.
        app: Name of the application.
        num_processors: Number of processors that a cluster on this machine shall have.
        deployment_of: Returns the deployment of the engines for the processors of the cluster.
    """

    def __init__(
        self,
        address: str,
        app: str,
        num_processors: int,
        deployment_of: Callable[[Processors], EngineDeployment],
    ) -> None:
        self._address = address
        self._deployment_of = deployment_of
        self._num_processors = num_processors
        self._app = app
        self._is_connected = self._has_created = self._has_closed = False
        self._changing = threading.Lock()
        self._handle: Any = None

    @property
    def is_local(self) -> bool:
        """Whether the cluster is started on this machine and ends with the connection."""
        return self._address == LOCAL

    def start(self) -> int:
        """Connects to the cluster, and creates the application of the engines unless it exists.

        An application that exists is used as it is, with any number of engines.

        Returns:
            The number of engines to wait for.

        Raises:
            StartError: The cluster cannot be reached, or it refuses the application.
        """
        with self._changing:
            self._connect()
            if self._is_running():
                return 1
            engines = self._deployment_of(self._processors())
            if self._has_closed:
                raise StartError("the start was interrupted")
            self._deploy(engines)
            return engines.num_engines

    def _connect(self) -> None:
        """Starts the cluster or connects to it, and starts Ray Serve there, without proxies.

        Raises:
            StartError: The cluster cannot be reached, or it has another version of Ray or Python.
        """
        set_environment()
        from ray import serve

        try:
            if self.is_local:
                start_local(self._num_processors)
            else:
                connect(self._address)
            self._is_connected = True
            logging.getLogger("ray.serve").setLevel(logging.ERROR)
            serve.start(proxy_location="Disabled", http_options={"location": None})
        except Exception as error:
            raise StartError(
                f"cannot use the Ray cluster {self._address}: {first_line(error)}"
            ) from error

    def _processors(self) -> Processors:
        """Returns the processors of the nodes, whether or not they are in use."""
        import ray

        nodes = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
        return Processors(int(sum(nodes)), int(max(nodes, default=0)))

    def _is_running(self) -> bool:
        """Returns whether the application exists, and is not being deleted."""
        from ray import serve

        found = serve.status().applications.get(self._app)
        return found is not None and found.status not in ("DELETING", "NOT_STARTED")

    def _deploy(self, engines: EngineDeployment) -> None:
        """Creates the application; does not wait until its engines serve.

        Raises:
            StartError: Ray refuses it.
        """
        from ray import serve

        target = serve.RunTarget(engines_of(engines), name=self._app, route_prefix=None)
        try:
            self._has_created = True
            serve.run_many([target], wait_for_applications_running=False)
        except Exception as error:
            raise StartError(
                f"Ray Serve cannot run the application {self._app}: {first_line(error)}"
            ) from error

    def ask(self) -> tuple[ReplicaState, ...]:
        """Returns the states of the replicas that answer.

        Raises:
            Exception: None can be asked, as there is none; or not all have answered in time.
        """
        from ray import serve

        if self._handle is None:
            self._handle = serve.get_deployment_handle(DEPLOYMENT, self._app)
        return ask_all(self._handle)

    def progress(self) -> str:
        """Returns what Ray says about the application in a sentence."""
        said = (first_line(message) for message in self._messages() if message)
        return next(said, "the engines are being opened")

    def lacks_processors(self) -> bool:
        """Returns whether an engine waits for processors of the cluster, for half a minute."""
        return any("to be scheduled" in message for message in self._messages())

    def _messages(self) -> list[str]:
        from ray import serve

        found = serve.status().applications.get(self._app)
        if found is None:
            return []
        return [*(state.message for state in found.deployments.values()), found.message]

    def close(self) -> None:
        """Deletes the application if this connection has created it, and disconnects.

        May be called during `start`, which then creates nothing more.
        """
        self._has_closed = True
        if not self._changing.acquire(timeout=CLOSE_SECONDS):
            return  # Ray still starts, and ends with this process
        try:
            if self._is_connected:
                self._disconnect()
        finally:
            self._changing.release()

    def _disconnect(self) -> None:
        import ray
        from ray import serve

        self._is_connected = False
        with contextlib.suppress(Exception):  # the cluster is gone
            if self._has_created:  # in a cluster of its own, engines first remove their files
                serve.delete(self._app, _blocking=self.is_local)
        ray.shutdown()


class HandleCluster:
    """The engines behind a deployment handle, which somebody else has deployed.

    Args:
        handle: The handle.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def start(self) -> int:
        """Returns 1, as one engine is enough to begin."""
        return 1

    def ask(self) -> tuple[ReplicaState, ...]:
        """Returns the states of the replicas that answer.

        Raises:
            Exception: None can be asked, as there is none; or not all have answered in time.
        """
        return ask_all(self._handle)

    def progress(self) -> str:
        """Returns what is known about the engines."""
        return "the engines of this application are being opened"

    def lacks_processors(self) -> bool:
        """Returns false, as it is not known."""
        return False

    def close(self) -> None:
        """Does nothing, as somebody else deletes the engines."""


def ask_all(handle: Any) -> tuple[ReplicaState, ...]:
    """Asks the replicas behind a handle."""
    response = handle.broadcast("state")
    answers = response.results(timeout_s=ASK_SECONDS, return_exceptions=True)
    return tuple(answer for answer in answers if isinstance(answer, ReplicaState))


def engines_of(engines: EngineDeployment) -> Any:
    """Returns the application, as `serve.run` takes it, of engines."""
    from ray import serve

    deployment = serve.deployment(**engines.options)(engines.replica)
    return deployment.bind(*engines.arguments)

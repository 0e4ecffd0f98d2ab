"""Ways into a Ray cluster: starts one on this machine, or connects to one."""

import logging
import os
import socket
from typing import Any

__all__ = ["LOCAL", "connect", "first_line", "set_environment", "start_local"]

log = logging.getLogger("friendli_endpoint.engine")

LOCAL = "local"
"""Address that starts a cluster on this machine."""

AUTO = "auto"
"""Address of the cluster that this process is a part of, or that runs on this machine."""

LOOPBACK = "127.0.0.1"

CONNECT_SECONDS = 5.0
"""Maximum time to reach the head node."""

OBJECT_STORE_BYTES = 80 << 20
"""Size of the object store of a cluster on this machine, in bytes; nothing of ours goes there."""

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # engines must not yield to other programs
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # SIGTERM is for the endpoint
}
"""Variables for this process and a cluster on this machine, where they are not set."""

MAX_STARTS = 3
"""Number of times that a cluster on this machine is started: Ray gives up after 30 seconds, which
may be too short for a busy machine."""


def set_environment() -> None:
    """Sets the variables that Ray reads when it is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def connect(address: str) -> None:
    """Connects to a cluster.

    Args:
        address: `HOST:PORT` of its head node, or `auto`.

    Raises:
        Exception: It cannot be used.
    """
    _check_reachable(address)
    _init(address=address)


def _check_reachable(address: str) -> None:
    """Checks that a head node answers, as Ray would try for minutes.

    Raises:
        OSError: It cannot be reached.
        ValueError: It is not the address of a head node.
    """
    if address == AUTO:
        return
    host, _, port = address.rpartition(":")
    if "/" in host or not host or not port.isdecimal():
        raise ValueError("the address of the head node is needed, as HOST:PORT")
    socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()


def start_local(num_processors: int) -> None:
    """Starts a cluster on the loopback interface of this machine, and connects to it.

    Args:
        num_processors: Number of processors that it has for engines.

    Raises:
        Exception: Ray cannot start.
    """
    import ray

    for attempt in range(1, MAX_STARTS + 1):
        try:
            _init(
                address=LOCAL,
                num_cpus=num_processors,
                num_gpus=0,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                _node_ip_address=LOOPBACK,
            )
        except Exception as error:
            ray.shutdown()
            if attempt == MAX_STARTS:
                raise
            log.warning("Ray cannot start (%s); it is tried again", first_line(error))
        else:
            return


def _init(**options: Any) -> None:
    import ray

    ray.init(logging_level=logging.ERROR, log_to_driver=False, **options)


def first_line(error: object) -> str:
    """Returns the first line of an error or a message of Ray, whose others are tracebacks."""
    return str(error).strip().partition("\n")[0] or type(error).__name__

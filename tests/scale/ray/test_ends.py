"""Ends of an endpoint with engines in a Ray cluster on this machine: nothing is left behind."""

import asyncio
import os
import signal

import pytest

from tests.contract.live import stop, until
from tests.scale.engines import SECONDS, descendants, is_running, serving
from tests.scale.ray.conftest import LOCAL
from tests.scale.streams import Clients

pytestmark = pytest.mark.model

RAY_SECONDS = 150.0
"""Maximum time until all of Ray's processes have ended; some look for the others once a minute."""

STREAMS = range(0, 80, 2)
"""Numbers of requests that are streams."""


def test_a_signal_cuts_no_stream_and_ends_every_process() -> None:
    with serving(2, *LOCAL, "--drain-seconds", "100") as endpoint:
        alone = asyncio.run(Clients(endpoint.address).one_by_one(STREAMS))
        processes = descendants(endpoint)
        accepted: list[int] = []

        def end() -> None:
            accepted.append(len(accepted))
            if len(accepted) == len(STREAMS):
                os.kill(endpoint.process.pid, signal.SIGTERM)

        clients = Clients(endpoint.address, on_accept=end)
        assert asyncio.run(clients.all(STREAMS)) == alone
        assert endpoint.process.wait(SECONDS) == 0
        until(lambda: not any(map(is_running, processes)), RAY_SECONDS, "the processes end")


def test_the_cluster_ends_when_the_endpoint_is_killed() -> None:
    with serving(1, *LOCAL) as endpoint:
        processes = descendants(endpoint)
        assert processes
        stop(endpoint.process, signal.SIGKILL)
        until(lambda: not any(map(is_running, processes)), RAY_SECONDS, "the processes end")

"""Engines come with the load and go without it, and no answer is lost or changes."""

import asyncio
import time

import pytest

from tests.scale.engines import metric, serving
from tests.scale.ray.conftest import LOCAL
from tests.scale.streams import Clients

pytestmark = pytest.mark.model

NUMBERS = range(12)

TIMES = 6
"""Number of times that each request is sent together, which is more than one engine has places."""

SCALE_SECONDS = 120.0
"""Maximum time until an engine is added or removed: Ray waits for 10 and for 60 seconds."""


def test_a_load_adds_an_engine_and_its_end_removes_one() -> None:
    with serving(1, *LOCAL, "--max-engines", "2") as endpoint:
        clients = Clients(endpoint.address)
        alone = asyncio.run(clients.one_by_one(NUMBERS))
        deadline = time.monotonic() + SCALE_SECONDS
        while metric(endpoint, "engines") < 2:
            assert time.monotonic() < deadline, "an engine is added"
            assert asyncio.run(clients.all([*NUMBERS] * TIMES)) == alone * TIMES
        deadline = time.monotonic() + SCALE_SECONDS
        while metric(endpoint, "engines") > 1:
            assert time.monotonic() < deadline, "an engine is removed"
            assert asyncio.run(clients.all(NUMBERS[:1])) == alone[:1]

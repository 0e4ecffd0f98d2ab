"""Clients that disconnect, and an endpoint that shuts down, with engines in child processes."""

import asyncio
import random
import signal
from collections.abc import Iterator

import pytest

from tests.contract.live import Live, request, until
from tests.contract.served import Served
from tests.load.traffic import Traffic
from tests.scale.engines import PLACES, SECONDS, metric, serving
from tests.scale.streams import Clients

pytestmark = pytest.mark.model

NUM_DISCONNECTS = 100
NUM_STREAMS = 40
NUMBERS = range(12)


@pytest.fixture(scope="module")
def two() -> Iterator[Served]:
    with serving(2) as endpoint:
        yield endpoint


def until_running(endpoint: Served, count: int) -> None:
    until(lambda: metric(endpoint, "running_choices") == count, SECONDS, f"{count} choices run")


async def leave_all(address: str) -> None:
    """Sends requests, whose clients disconnect at random moments."""
    async with Traffic(address, NUM_DISCONNECTS) as traffic:
        leaving = (traffic.abandon(n, random.Random(n)) for n in range(NUM_DISCONNECTS))
        await asyncio.gather(*leaving)


def test_engines_have_nothing_to_do_after_a_hundred_clients_have_left(two: Served) -> None:
    alone = asyncio.run(Clients(two.address).one_by_one(NUMBERS))
    asyncio.run(leave_all(two.address))
    until(lambda: metric(two, "queue_length") == 0, SECONDS, "nothing waits")
    until_running(two, 0)
    assert metric(two, "engines_lost_total") == 0
    assert asyncio.run(Clients(two.address).all(NUMBERS)) == alone
    live = Live(two.address)
    long = request(stream=True, n=PLACES, max_tokens=1500, min_tokens=1500)
    with live.send(long), live.send(long):
        until_running(two, 2 * PLACES)
    until_running(two, 0)


def test_no_stream_of_forty_is_cut_by_sigterm() -> None:
    numbers = range(0, 32 * NUM_STREAMS, 32)  # streams of plain requests
    fields = {"max_tokens": 400, "min_tokens": 400}
    flags = ("--max-sequences", str(NUM_STREAMS), "--context", "512", "--drain-seconds", "200")
    with serving(2, *flags) as endpoint:
        undisturbed = asyncio.run(Clients(endpoint.address).all(numbers, **fields))
        starting = list(numbers)

        def end() -> None:
            starting.pop()
            if not starting:
                endpoint.process.send_signal(signal.SIGTERM)

        clients = Clients(endpoint.address, on_start=end)
        assert asyncio.run(clients.all(numbers, **fields)) == undisturbed
        assert endpoint.process.wait(SECONDS) == 0

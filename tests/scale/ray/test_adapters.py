"""Adapters of an endpoint whose engines run in a Ray cluster."""

import asyncio
import os
import signal

import pytest

from tests.contract.live import Live, request, until
from tests.contract.served import Served
from tests.scale.engines import SECONDS, engine_pids, load_adapter, metric, until_replaced
from tests.scale.ray.test_kills import replica_pids
from tests.scale.streams import Clients
from tests.scale.test_adapters import unload

pytestmark = pytest.mark.model

NUMBERS = range(8)


def test_an_adapter_is_on_every_engine_and_on_those_that_come_later(two: Served) -> None:
    assert load_adapter(two, "lora-1.gguf").status_code == 201
    clients = Clients(two.address)
    alone = asyncio.run(clients.one_by_one(NUMBERS, model="m:two"))
    assert alone != asyncio.run(clients.one_by_one(NUMBERS, model="m:one"))
    for pids in (engine_pids, replica_pids):
        for victim in pids(two):
            os.kill(victim, signal.SIGKILL)
            until_replaced(two, victim, 2, pids)
        until(lambda: metric(two, "engines") == 2, SECONDS, "both engines serve")
        assert asyncio.run(clients.all(NUMBERS, model="m:two")) == alone
    unload(two)
    assert Live(two.address).post(request(model="m:two")).status_code == 404

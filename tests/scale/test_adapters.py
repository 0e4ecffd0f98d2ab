"""Adapters of an endpoint whose engines run in child processes."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contract.live import Live, request, until
from tests.contract.served import Served
from tests.scale.engines import (
    ADAPTERS,
    SECONDS,
    engine_pids,
    load_adapter,
    serving,
    until_replaced,
)
from tests.scale.streams import Clients

NUMBERS = range(8)
LONG = {"model": "m:two", "max_tokens": 1500, "min_tokens": 1500}

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def two() -> Iterator[Served]:
    with serving(2) as endpoint:
        yield endpoint


def unload(endpoint: Served, route: str = "two") -> None:
    assert Live(endpoint.address).request("DELETE", f"{ADAPTERS}/{route}").status_code == 200


def test_an_adapter_is_on_every_engine_and_on_those_that_are_started_again(two: Served) -> None:
    assert load_adapter(two, "lora-1.gguf").status_code == 201
    clients = Clients(two.address)
    alone = asyncio.run(clients.one_by_one(NUMBERS, model="m:two"))
    assert alone != asyncio.run(clients.one_by_one(NUMBERS, model="m:one"))
    for victim in engine_pids(two):
        os.kill(victim, signal.SIGKILL)
        until_replaced(two, victim, 2)
    assert asyncio.run(clients.all(NUMBERS, model="m:two")) == alone
    unload(two)
    assert Live(two.address).post(request(model="m:two")).status_code == 404


def test_a_stream_keeps_its_adapter_when_the_route_is_replaced_and_its_engine_is_killed(
    two: Served,
) -> None:
    assert load_adapter(two, "lora-1.gguf").status_code == 201
    alone = asyncio.run(Clients(two.address).one_by_one([0], **LONG))
    status: list[int] = []

    def replace_and_kill() -> None:
        if not status:
            status.append(0)
            status[0] = load_adapter(two, "lora-0.gguf").status_code
            for victim in engine_pids(two):
                os.kill(victim, signal.SIGKILL)

    assert asyncio.run(Clients(two.address, replace_and_kill).all([0], **LONG)) == alone
    assert status == [201]
    replaced = asyncio.run(Clients(two.address).all([0], **LONG))
    first = asyncio.run(Clients(two.address).all([0], **{**LONG, "model": "m:one"}))
    assert replaced[0]["choices"] == first[0]["choices"] != alone[0]["choices"]
    unload(two)


def test_an_adapter_is_loaded_although_an_engine_is_killed_meanwhile(two: Served) -> None:
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(load_adapter, two, "lora-1.gguf")
        victim = until(lambda: trying(two), SECONDS, "an engine tries the adapter")
        os.kill(victim, signal.SIGKILL)
        assert loading.result().status_code == 201
    until_replaced(two, victim, 2)
    clients = Clients(two.address)
    alone = asyncio.run(clients.one_by_one(NUMBERS, model="m:two"))
    assert asyncio.run(clients.all(NUMBERS, model="m:two")) == alone
    unload(two)


def test_the_only_engine_that_is_killed_while_it_loads_an_adapter_gives_a_503() -> None:
    with serving(1) as endpoint:
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(load_adapter, endpoint, "lora-1.gguf")
            victim = until(lambda: trying(endpoint), SECONDS, "the engine tries the adapter")
            os.kill(victim, signal.SIGKILL)
            lost = loading.result()
        assert (lost.status_code, lost.headers["retry-after"]) == (503, "1")
        assert lost.json()["error"]["code"] == "engine_starting"
        until_replaced(endpoint, victim, 1)
        live = Live(endpoint.address)
        until(lambda: live.request("GET", "/health").status_code == 200, SECONDS, "it serves")
        assert load_adapter(endpoint, "lora-1.gguf").status_code == 201


def test_an_adapter_that_cannot_be_loaded_is_rejected_and_changes_nothing(two: Served) -> None:
    live = Live(two.address)
    before = live.request("GET", "/dedicated/v1/models").json()
    rejected = load_adapter(two, "model.gguf")
    assert rejected.status_code == 400
    assert "/tmp" not in rejected.json()["error"]["message"]
    assert live.request("GET", "/dedicated/v1/models").json() == before


def trying(endpoint: Served) -> int | None:
    """Returns the process id of an engine that tries an adapter."""
    for pid in engine_pids(endpoint):
        with contextlib.suppress(OSError):  # a thread has ended
            for task in Path(f"/proc/{pid}/task").iterdir():
                if (task / "children").read_text().strip():
                    return pid
    return None

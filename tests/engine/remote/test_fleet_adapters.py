"""Adapters of a fleet: the same on every engine, replaced for all at once, kept while used."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from friendli_endpoint.engine.remote.fleet_adapters import FleetAdapters
from friendli_endpoint.engine.remote.member import LostError, Member
from friendli_endpoint.generation import RequestError
from tests.engine.remote.looping import in_event_loop

FILE = Path("/adapters/a.gguf")


class ScriptedMember:
    """An engine that loads adapters, unless the test lets it fail.

    Attributes:
        error: Raised when an adapter is loaded, or None.
        go_on: Loading waits for it.
    """

    def __init__(self, *adapters: str, is_ready: bool = True) -> None:
        self.adapters = set(adapters)
        self.is_ready = is_ready
        self.error: Exception | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def load_adapter(self, name: str, _path: str) -> None:
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        self.adapters.add(name)

    def unload_adapter(self, name: str) -> None:
        self.adapters.discard(name)


def adapters_of(members: Sequence[ScriptedMember]) -> FleetAdapters:
    return FleetAdapters(cast(Sequence[Member], members))


@in_event_loop
async def test_an_adapter_is_loaded_by_all_engines_before_its_route_exists() -> None:
    members = [ScriptedMember(), ScriptedMember()]
    adapters = adapters_of(members)
    members[1].go_on.clear()
    loading = asyncio.create_task(adapters.load("a", FILE))
    await asyncio.sleep(0)
    with pytest.raises(RequestError) as missing:
        adapters.take("a")
    assert missing.value.status == 404 and "no adapters" in missing.value.message
    members[1].go_on.set()
    await loading
    assert adapters.routes == ("a",)
    assert members[0].adapters == members[1].adapters == {adapters.take("a").name}


@in_event_loop
async def test_a_replaced_adapter_stays_until_its_last_request_has_ended() -> None:
    members = [ScriptedMember(), ScriptedMember()]
    adapters = adapters_of(members)
    await adapters.load("a", FILE)
    first = adapters.take("a")
    await adapters.load("a", FILE)
    second = adapters.take("a")
    assert first.name != second.name
    assert members[0].adapters == members[1].adapters == {first.name, second.name}
    adapters.leave(first)
    assert members[0].adapters == members[1].adapters == {second.name}
    adapters.unload("a")
    assert not adapters.routes and members[0].adapters == {second.name}
    adapters.leave(second)
    assert members[0].adapters == members[1].adapters == set()


@in_event_loop
async def test_an_adapter_that_one_engine_refuses_is_on_none() -> None:
    members = [ScriptedMember("old"), ScriptedMember("old")]
    adapters = adapters_of(members)
    adapters.declare(["old"])
    members[1].error = RequestError("it is not an adapter", code="adapter_refused")
    with pytest.raises(RequestError, match="it is not an adapter"):
        await adapters.load("old", FILE)
    assert members[0].adapters == members[1].adapters == {"old"}
    assert adapters.take("old").name == "old"


@in_event_loop
async def test_an_engine_that_is_lost_while_it_loads_does_not_matter_unless_it_is_the_last() -> (
    None
):
    members = [ScriptedMember(), ScriptedMember()]
    adapters = adapters_of(members)
    members[0].error = LostError()
    await adapters.load("a", FILE)
    assert adapters.routes == ("a",)
    members[1].error = LostError()
    with pytest.raises(RequestError) as refusal:
        await adapters.load("b", FILE)
    assert (refusal.value.status, refusal.value.retry_after) == (503, 1)
    assert adapters.routes == ("a",)


@in_event_loop
async def test_an_engine_that_is_opened_again_gets_what_it_lacks_and_loses_what_is_retired() -> (
    None
):
    members = [ScriptedMember("old"), ScriptedMember("old")]
    adapters = adapters_of(members)
    adapters.declare(["old"])
    await adapters.load("new", FILE)
    used = adapters.take("new")
    adapters.unload("old")
    again = ScriptedMember("old")
    assert not adapters.is_complete(cast(Member, again))
    await adapters.complete(cast(Member, again))
    assert again.adapters == {used.name} == members[0].adapters
    assert adapters.is_complete(cast(Member, again))


@in_event_loop
async def test_an_engine_goes_without_an_adapter_that_cannot_be_loaded_again() -> None:
    adapters = adapters_of([ScriptedMember()])
    await adapters.load("gone", FILE)
    again = ScriptedMember()
    again.error = RequestError("there is no such file")
    await adapters.complete(cast(Member, again))
    assert again.adapters == set()


@in_event_loop
async def test_an_unknown_route_cannot_be_unloaded() -> None:
    adapters = adapters_of([ScriptedMember("old")])
    adapters.declare(["old"])
    with pytest.raises(RequestError, match="available: old"):
        adapters.unload("new")

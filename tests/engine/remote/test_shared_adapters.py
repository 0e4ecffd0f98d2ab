"""An adapter stays in an engine for as long as one of its endpoints holds it."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from friendli_endpoint.engine.remote.shared_adapters import SharedAdapters
from friendli_endpoint.generation import Engine, RequestError, unknown_adapter
from tests.engine.remote.looping import in_event_loop
from tests.http.scripted import CARD

FILE = Path("/adapters/a.gguf")


class ScriptedEngine:
    """An engine that loads adapters."""

    def __init__(self, *adapters: str) -> None:
        self.adapters = list(adapters)
        self.loaded: list[str] = []

    @property
    def card(self) -> object:
        return replace(CARD, adapters=tuple(self.adapters))

    async def load_adapter(self, route: str, _path: Path) -> None:
        self.adapters.append(route)
        self.loaded.append(route)

    async def unload_adapter(self, route: str) -> None:
        if route not in self.adapters:
            raise unknown_adapter(route, self.adapters)
        self.adapters.remove(route)


def shared(engine: ScriptedEngine) -> SharedAdapters:
    return SharedAdapters(cast(Engine, engine))


@in_event_loop
async def test_an_adapter_is_loaded_once_and_removed_by_the_last_holder() -> None:
    engine = ScriptedEngine()
    adapters = shared(engine)
    await adapters.load("one", "a#1", FILE)
    await adapters.load("other", "a#1", FILE)
    assert engine.loaded == ["a#1"]
    await adapters.unload("one", "a#1")
    assert engine.adapters == ["a#1"]
    await adapters.unload("other", "a#1")
    assert engine.adapters == []
    await adapters.load("one", "a#1", FILE)
    assert engine.loaded == ["a#1", "a#1"]


@in_event_loop
async def test_a_lost_endpoint_holds_nothing_but_declared_adapters_stay() -> None:
    engine = ScriptedEngine("own")
    adapters = shared(engine)
    for holder in ("one", "other"):
        adapters.join(holder)
        await adapters.load(holder, "a#1", FILE)
    await adapters.load("one", "b#1", FILE)
    await adapters.leave("one")
    assert engine.adapters == ["own", "a#1"]
    await adapters.leave("other")
    assert engine.adapters == ["own"]


@in_event_loop
async def test_a_declared_adapter_is_removed_when_all_endpoints_have_removed_it() -> None:
    engine = ScriptedEngine("own")
    adapters = shared(engine)
    adapters.join("one")
    adapters.join("other")
    await adapters.unload("one", "own")
    assert engine.adapters == ["own"]
    await adapters.unload("other", "own")
    assert engine.adapters == []
    adapters.join("third")
    assert engine.adapters == []


@in_event_loop
async def test_an_unknown_adapter_cannot_be_removed() -> None:
    with pytest.raises(RequestError):
        await shared(ScriptedEngine()).unload("one", "a#1")

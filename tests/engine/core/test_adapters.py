"""Adapters: their registry, their batches, and when they are freed."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from friendli_endpoint.engine.core.adapters import Adapter, Adapters, handle_of
from friendli_endpoint.engine.core.backend import AdapterError
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.generation import RequestError
from tests.contract.live import until
from tests.engine.core.scripted_loop import CHAOS, PROMPT, Hook, Pause, break_down
from tests.support.scripted import (
    PATIENCE,
    Inbox,
    ScriptedBackend,
    ScriptedGuide,
    request,
    run,
    serving,
)


def test_an_adapter_is_found_by_its_route_until_it_is_removed() -> None:
    adapters = Adapters()
    first, second = Adapter("one", 1), Adapter("two", 2)
    assert adapters.find(None) is None
    assert [adapters.add(first), adapters.add(second)] == [None, None]
    assert adapters.routes == ("one", "two")
    assert adapters.find("two") is second
    assert adapters.remove("one") is first
    for method in (adapters.find, adapters.remove):
        with pytest.raises(RequestError, match="no adapter 'one'; available: two") as caught:
            method("one")
        assert (caught.value.status, caught.value.code) == (404, "adapter_not_found")


def test_adding_an_adapter_returns_the_one_that_it_replaces() -> None:
    adapters = Adapters()
    first, second = Adapter("one", 1), Adapter("one", 1)
    adapters.add(first)
    assert adapters.add(second) is first
    assert adapters.find("one") is second
    assert adapters.routes == ("one",)
    assert first != second, "tokens that were computed with one are not valid for the other"


def test_the_base_model_has_no_handle() -> None:
    assert (handle_of(Adapter("one", 7)), handle_of(None)) == (7, None)


def test_each_adapter_has_its_own_batches() -> None:
    with serving(CHAOS, slots=4) as (engine, backend):
        for route in ("one", "two"):
            engine.load_adapter(route, Path(route))
        assert set(engine.adapters) == {"one", "two"}
        routes = [None, "one", "two", "one"]
        guides = [ScriptedGuide(), ScriptedGuide()]
        many = [request(str(n), PROMPT, *guides, adapter=route) for n, route in enumerate(routes)]
        run(engine, *many)
    used = {call.adapter for call in backend.named("decode")}
    assert used == {None, 1, 2}


def test_an_adapter_in_use_is_freed_when_its_last_request_ends() -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        engine.load_adapter("one", Path("one"))
        inbox = Inbox(1)
        pause = Pause(backend, "decode", 2)
        engine.submit(request("r", PROMPT, adapter="one", max_tokens=5), inbox)
        with pause:
            engine.unload_adapter("one")
            assert engine.adapters == ()
            with pytest.raises(RequestError, match="no adapters are loaded") as caught:
                engine.submit(request("late", PROMPT, adapter="one"), Inbox(1))
            assert (caught.value.status, caught.value.param) == (404, "model")
            assert backend.adapters == [1]
        assert inbox.wait().finishes() == ["length"]
        run(engine, request("after", PROMPT))
        assert backend.adapters == []
        with pytest.raises(RequestError, match="no adapter 'one'"):
            engine.unload_adapter("one")


def test_an_adapter_replaces_another_of_its_route_and_its_cached_prefixes() -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        engine.load_adapter("one", Path("one"))
        run(engine, request("a", range(30), adapter="one"))
        engine.load_adapter("one", Path("other"))
        (second,) = run(engine, request("b", range(30), adapter="one"))
        assert second.started is not None and second.started.cached_tokens == 0
        assert backend.adapters == [2]


def test_a_file_that_is_not_an_adapter_fails_no_request() -> None:
    with serving(CHAOS, slots=2) as (engine, _):
        with pytest.raises(AdapterError, match="no adapter"):
            engine.load_adapter("one", Path())
        assert engine.adapters == ()
        run(engine, request("a", PROMPT))


def _check_served_with_the_first_adapter(
    engine: EngineLoop,
    backend: ScriptedBackend,
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
) -> None:
    """Checks that a request uses the loaded adapter, whatever is called before or after it."""
    engine.load_adapter("one", Path("one"))
    pause = Pause(backend, "decode")
    busy, arriving = Inbox(1), Inbox(1)
    engine.submit(request("busy", PROMPT), busy)
    with pause:
        before()
        engine.submit(request("arriving", PROMPT, adapter="one", max_tokens=3), arriving)
        after()
    assert [busy.wait().failure, arriving.wait().failure] == [None, None]
    assert {call.adapter for call in backend.named("decode")} == {None, 1}


def test_an_adapter_is_kept_for_requests_that_are_still_in_the_inbox() -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        _check_served_with_the_first_adapter(
            engine, backend, after=lambda: engine.unload_adapter("one")
        )
        until(lambda: backend.adapters == [], PATIENCE, "the adapter is freed")


def test_a_replaced_adapter_is_kept_for_requests_that_are_still_in_the_inbox() -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        replacing = threading.Thread(target=engine.load_adapter, args=("one", Path("other")))

        def replace() -> None:
            replacing.start()
            until(lambda: engine._inbox.qsize() == 1, PATIENCE, "the message to load is there")

        _check_served_with_the_first_adapter(engine, backend, before=replace)
        replacing.join()
        until(lambda: backend.adapters == [2], PATIENCE, "the first adapter is freed")


@pytest.mark.usefixtures("quiet")
def test_an_adapter_that_cannot_be_freed_fails_no_request() -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        engine.load_adapter("one", Path("one"))
        Hook(backend, "free_adapter").then = break_down
        engine.unload_adapter("one")
        (inbox,) = run(engine, request("r", PROMPT))
        assert inbox.failure is None
        assert len(backend.named("close")) == 0

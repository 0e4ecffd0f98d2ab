"""Engines in other processes, measured against one in the endpoint's."""

import asyncio
from collections.abc import Sequence

import pytest

from benchmarks.remote import wire
from benchmarks.remote.paced import PacedOpener, PacedSource
from benchmarks.remote.placements import PLACEMENTS, Placement
from benchmarks.remote.speed import memory_table, speed_table
from benchmarks.remote.wire import WireCost, measure_wire, wire_table
from friendli_endpoint.bench.processes import Memory
from friendli_endpoint.bench.rounds import Measurement, Sample
from friendli_endpoint.bench.workload import WorkloadResult
from friendli_endpoint.bench.workloads import WORKLOADS
from friendli_endpoint.engine.core.engine import LocalEngine
from friendli_endpoint.generation import EngineError, Event, Generated, GenerationRequest, Started
from friendli_endpoint.settings import Settings
from tests.engine.remote.scripted_child import request, scripted_guides

TOKENS = ((5, b" a"), (6, b" b"))


def opened() -> LocalEngine:
    return PacedOpener(TOKENS, 100)(scripted_guides, lambda _report: None)


async def events_of(engine: LocalEngine, asked: GenerationRequest) -> list[Event]:
    async with engine.run(asked) as events:
        return [event async for event in events]


def samples(*values: float) -> Sequence[Sample]:
    return [Sample(WorkloadResult(value, (), ()), 1.0, 0.0) for value in values]


def test_the_paced_engine_repeats_its_tokens_until_the_maximum() -> None:
    async def scenario() -> list[list[Event]]:
        engine = opened()
        requests = [request(name, max_tokens=3) for name in "ab"]
        found = await asyncio.gather(*(events_of(engine, request) for request in requests))
        await engine.aclose()
        return found

    for started, *events in asyncio.run(scenario()):
        assert isinstance(started, Started)
        steps = [step for event in events if isinstance(event, Generated) for step in event.steps]
        assert [step.token_id for step in steps] == [5, 6, 5]
        assert b"".join(span.text for step in steps for span in step.findings.spans) == b" a b a"
        assert [step.findings.finish for step in steps] == [None, None, "length"]


def test_the_paced_engine_ends_a_stream_that_is_cancelled_and_all_when_it_closes() -> None:
    async def scenario() -> None:
        engine = opened()
        async with engine.run(request("left", max_tokens=1 << 30)) as events:
            await anext(events)
        async with engine.run(request("kept", max_tokens=1 << 30)) as events:
            await anext(events)
            await engine.aclose()
            with pytest.raises(EngineError) as caught:
                async for _ in events:
                    pass
            assert caught.value.is_closing

    asyncio.run(asyncio.wait_for(scenario(), 60))


@pytest.mark.parametrize("placement", PLACEMENTS, ids=lambda placement: placement.name)
def test_a_placement_is_the_same_as_settings_and_as_flags(placement: Placement) -> None:
    names = [flag.removeprefix("--") for flag in placement.flags[::2]]
    assert dict(zip(names, placement.flags[1::2], strict=True)) == {
        name: str(value) for name, value in placement.settings.items()
    }
    if placement.module is None:
        settings = Settings.model_validate(dict(placement.settings))
        assert settings.engines == placement.settings["engines"]


def test_costs_are_compared_by_round() -> None:
    costs = {
        "a": [WireCost(1e-4, 9e-5, 0.002), WireCost(2e-4, 1e-4, 0.004)],
        "b": [WireCost(2e-4, 8e-5, 0.003), WireCost(2e-4, 1e-4, 0.006)],
    }
    assert [[*row] for row in wire_table(costs).rows] == [
        ["a", "150", "95.0", "", "3.00", ""],
        ["b", "200", "90.0", "1.50 (1.00 to 2.00)", "4.50", "1.50 (1.00 to 2.00)"],
    ]


def test_rates_are_compared_by_round_and_failures_are_shown() -> None:
    single = Measurement(
        WORKLOADS["single"],
        {"a": samples(10, 20, 40), "b": samples(20, 20, 20), "c": ()},
        {"c": "it is broken"},
    )
    assert [[*row] for row in speed_table([single]).rows] == [
        ["single", "a", "20.0", ""],
        ["single", "b", "20.0", "1.00 (0.50 to 2.00)"],
        ["single", "c", "it is broken", ""],
    ]


def test_memory_is_shown_in_mebibytes() -> None:
    table = memory_table({"a": [Memory(3 << 20, 400 << 20), Memory(5 << 20, 600 << 20)]})
    assert [[*row] for row in table.rows] == [["a", "4.00", "500"]]


@pytest.mark.model
def test_an_engine_in_the_endpoint_and_one_in_a_child_process_are_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(wire, "BATCHES", 1)
    monkeypatch.setattr(wire, "SINGLES", 1)
    costs = measure_wire(PLACEMENTS[:2], 1, lines.append)
    assert len(lines) == 2
    for (cost,) in costs.values():
        assert cost.total > 0 and cost.front > 0 and cost.first_token > 0


@pytest.mark.model
def test_the_paced_source_has_the_vocabulary_of_the_embedded_model() -> None:
    source = PacedSource()
    source.check()
    vocabulary = source.vocabulary()
    tokens = source.opener().tokens
    assert b"".join(text for _, text in tokens).startswith(b" the quick")
    assert all(vocabulary.token_bytes(token) == text for token, text in tokens)
    source.close()

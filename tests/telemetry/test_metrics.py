"""Metrics: each one is there and moves when it should, and none grows without bound."""

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from friendli_endpoint.chat.structured import GrammarMaker, MatcherCompiler
from friendli_endpoint.generation import RequestError, Started, StepReport
from friendli_endpoint.telemetry import Metrics
from tests.http.scripted import Call, run, steps
from tests.support.scripted import ScriptedVocabulary, following, request, serving
from tests.support.scripted import run as generate
from tests.telemetry.watched import Watched

ROOT = Path(__file__).parents[2]
LISTED: dict[str, dict[str, Any]] = json.loads((ROOT / "deploy" / "metrics.json").read_text())

STARTED = Started(cached_tokens=1, queue_seconds=0.5, prefill_seconds=0.25)
DONE = steps("done", finish=True)


async def eventful() -> Watched:
    """An application that has seen a bit of everything."""
    watched = Watched()
    stream = watched.call(("x-friendli-team", "red"), stream=True)
    await watched.serve(stream, STARTED, steps("a"), steps("b"), DONE)
    await watched.serve(watched.call(), STARTED, DONE)

    watched.service.scripted.submitted.clear()
    async with watched.call(stream=True) as left:
        await watched.service.scripted.submitted.wait()
        left.leave()
        await left.done()

    watched.service.scripted.refusal = RequestError("full", status=429, code="queue_full")
    async with watched.call() as turned_away:
        await turned_away.done()

    metrics = watched.telemetry.metrics
    metrics.submitted()  # one that goes on, so that the engine's report is of now
    metrics.turned(
        StepReport(
            0.25,
            2,
            3,
            running=4,
            queued=5,
            held_tokens=7,
            capacity_tokens=8,
            drafted=9,
            accepted=6,
        )
    )
    matchers = MatcherCompiler(ScriptedVocabulary())
    GrammarMaker(matchers, metrics.compiled).regex("[ab]+", "")
    return watched


SEEN = {
    "friendli_requests_total": 4,
    "friendli_rejected_total": 1,
    "friendli_cancelled_total": 1,
    "friendli_queue_length": 5,
    "friendli_queue_wait_seconds": 2,
    "friendli_running_choices": 4,
    "friendli_time_to_first_token_seconds": 2,
    "friendli_time_between_tokens_seconds": 2,
    "friendli_request_seconds": 3,
    "friendli_prompt_tokens_total": 2,
    "friendli_generated_tokens_total": 4,
    "friendli_cached_prompt_tokens_total": 2,
    "friendli_draft_tokens_total": 9,
    "friendli_accepted_draft_tokens_total": 6,
    "friendli_kv_tokens": 7,
    "friendli_kv_room_tokens": 8,
    "friendli_step_seconds": 1,
    "friendli_constraint_compile_seconds": 1,
}
"""What each metric says then; of a histogram, how often."""


@pytest.mark.parametrize("name", LISTED)
def test_every_metric_moves(name: str) -> None:
    series = name + "_count" if LISTED[name]["type"] == "histogram" else name

    async def scenario() -> None:
        assert Watched().value(series) == 0
        assert (await eventful()).value(series) == SEEN[name]

    run(scenario)


def test_what_is_exposed_is_what_is_listed() -> None:
    async def scenario() -> None:
        families = list(text_string_to_metric_families((await eventful()).text))
        shown = {
            each.name + "_total" * (each.type == "counter"): {
                "type": each.type,
                "labels": sorted(each.samples[0].labels.keys() - {"le"}),
            }
            for each in families
        }
        listed = {name: {**each, "labels": sorted(each["labels"])} for name, each in LISTED.items()}
        assert shown == listed
        assert all(each.documentation for each in families)

    run(scenario)


def test_times_are_those_that_the_engine_measured() -> None:
    async def scenario() -> None:
        watched = await eventful()
        assert watched.value("friendli_queue_wait_seconds_sum") == 1.0
        assert watched.value("friendli_step_seconds_sum") == 0.25

    run(scenario)


def test_the_engine_reports_its_turns() -> None:
    metrics, size = Metrics(), ScriptedVocabulary().size
    metrics.submitted()
    with serving(following(size), slots=2, report=metrics.turned) as (engine, _):
        generate(engine, request("one", [5, 6, 7]))
    samples = {
        each.name: each.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for each in family.samples
    }
    assert samples["friendli_step_seconds_count"] > 0
    assert samples["friendli_kv_room_tokens"] == 2 * ScriptedVocabulary().context
    assert 0 < samples["friendli_kv_tokens"] <= samples["friendli_kv_room_tokens"]
    assert samples["friendli_running_choices"] == samples["friendli_queue_length"] == 0


def test_a_constraint_that_is_kept_is_not_compiled_again() -> None:
    compiled: list[float] = []
    compiler = GrammarMaker(MatcherCompiler(ScriptedVocabulary()), compiled.append)
    for _ in range(2):
        compiler.json_schema({"type": "integer"}, "schema")
    assert len(compiled) == 1
    with pytest.raises(RequestError):
        compiler.lark("start: nothing", "grammar")
    assert len(compiled) == 2
    assert min(compiled) >= 0


def test_nothing_runs_when_the_last_request_was_cancelled() -> None:
    report = StepReport(0.25, 1, 0, running=1, queued=1, held_tokens=7, capacity_tokens=8)

    async def scenario() -> None:
        watched = Watched()
        gauges = ["friendli_running_choices", "friendli_queue_length", "friendli_kv_tokens"]
        async with watched.call(stream=True) as call:
            await watched.service.scripted.submitted.wait()
            watched.telemetry.metrics.turned(report)
            assert [watched.value(each) for each in gauges] == [1, 1, 7]
            call.leave()
            await call.done()
        assert [watched.value(each) for each in gauges] == [0, 0, 7]

    run(scenario)


# ── the page ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/metrics", "/health", "/nowhere"])
def test_only_chat_completions_are_counted(path: str) -> None:
    async def scenario() -> None:
        watched = Watched()
        async with Call(watched.app, "GET", path) as call:
            await call.done()
        assert watched.ended == {}

    run(scenario)


def test_two_applications_count_apart() -> None:
    async def scenario() -> None:
        one, two = Watched(), Watched()
        await one.serve(one.call(), DONE)
        assert (len(one.ended), len(two.ended)) == (1, 0)

    run(scenario)

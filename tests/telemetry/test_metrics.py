"""Metrics: all listed ones are exposed and change, and only for chat completions."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from friendli_endpoint.chat.structured import GrammarMaker, MatcherCompiler
from friendli_endpoint.generation import Engine, RequestError, Started, StepReport
from friendli_endpoint.telemetry import Metrics
from tests.http.scripted import Call, run, steps
from tests.support.scripted import ScriptedVocabulary, following, request, serving
from tests.support.scripted import run as generate
from tests.telemetry.observed import ObservedApp

ROOT = Path(__file__).parents[2]
LISTED: dict[str, dict[str, Any]] = json.loads((ROOT / "deploy" / "metrics.json").read_text())

STARTED = Started(cached_tokens=1, queue_seconds=0.5, prefill_seconds=0.25)
DONE = steps("done", finish=True)


async def eventful() -> ObservedApp:
    """Returns an application that has served requests with every outcome."""
    observed = ObservedApp()
    stream = observed.call(("x-friendli-team", "red"), stream=True)
    await observed.serve(stream, STARTED, steps("a"), steps("b"), DONE)
    await observed.serve(observed.call(), STARTED, DONE)

    observed.service.scripted.submitted.clear()
    async with observed.call(stream=True) as cancelled:
        await observed.service.scripted.submitted.wait()
        cancelled.disconnect()
        await cancelled.done()

    observed.service.scripted.submit_error = RequestError("full", status=429, code="queue_full")
    async with observed.call() as rejected:
        await rejected.done()

    metrics = observed.telemetry.metrics
    metrics.watch(cast(Engine, SimpleNamespace(num_ready=2, num_lost=3)))
    metrics.record_submitted()  # a running request, or the gauges would be reset to 0
    metrics.record_step(
        StepReport(
            0.25,
            2,
            3,
            disk_tokens=128,
            disk_read_bytes=256,
            disk_written_bytes=512,
            running=4,
            queued=5,
            kv_cache_tokens=7,
            capacity_tokens=8,
            drafted=9,
            accepted=6,
        )
    )
    matchers = MatcherCompiler(ScriptedVocabulary())
    GrammarMaker(matchers, metrics.record_compile).regex("[ab]+", "")
    return observed


SEEN = {
    "friendli_requests_total": 4,
    "friendli_rejected_total": 1,
    "friendli_cancelled_total": 1,
    "friendli_queue_length": 5,
    "friendli_engines": 2,
    "friendli_engines_lost_total": 3,
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
    "friendli_disk_cached_prompt_tokens_total": 128,
    "friendli_prefix_cache_read_bytes_total": 256,
    "friendli_prefix_cache_written_bytes_total": 512,
    "friendli_kv_tokens": 7,
    "friendli_kv_room_tokens": 8,
    "friendli_step_seconds": 1,
    "friendli_constraint_compile_seconds": 1,
}
"""Value of each metric then; for a histogram, its count."""


@pytest.mark.parametrize("name", LISTED)
def test_every_metric_changes(name: str) -> None:
    series = name + "_count" if LISTED[name]["type"] == "histogram" else name

    async def scenario() -> None:
        assert ObservedApp().value(series) == 0
        assert (await eventful()).value(series) == SEEN[name]

    run(scenario)


def test_the_exposed_metrics_are_the_listed_ones() -> None:
    async def scenario() -> None:
        families = list(text_string_to_metric_families((await eventful()).text))
        shown = {
            family.name + "_total" * (family.type == "counter"): {
                "type": family.type,
                "labels": sorted(family.samples[0].labels.keys() - {"le"}),
            }
            for family in families
        }
        listed = {
            name: {**metric, "labels": sorted(metric["labels"])} for name, metric in LISTED.items()
        }
        assert shown == listed
        assert all(family.documentation for family in families)

    run(scenario)


def test_durations_are_those_measured_by_the_engine() -> None:
    async def scenario() -> None:
        observed = await eventful()
        assert observed.value("friendli_queue_wait_seconds_sum") == 1.0
        assert observed.value("friendli_step_seconds_sum") == 0.25

    run(scenario)


def test_the_engine_reports_its_steps() -> None:
    metrics, size = Metrics(), ScriptedVocabulary().size
    metrics.record_submitted()
    with serving(following(size), slots=2, report=metrics.record_step) as (engine, _):
        generate(engine, request("one", [5, 6, 7]))
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }
    assert samples["friendli_step_seconds_count"] > 0
    assert samples["friendli_kv_room_tokens"] == 2 * ScriptedVocabulary().context
    assert 0 < samples["friendli_kv_tokens"] <= samples["friendli_kv_room_tokens"]
    assert samples["friendli_running_choices"] == samples["friendli_queue_length"] == 0


def test_a_cached_constraint_is_not_compiled_again() -> None:
    compiled: list[float] = []
    compiler = GrammarMaker(MatcherCompiler(ScriptedVocabulary()), compiled.append)
    for _ in range(2):
        compiler.json_schema({"type": "integer"}, "schema")
    assert len(compiled) == 1
    with pytest.raises(RequestError):
        compiler.lark("start: nothing", "grammar", 1 << 20)
    assert len(compiled) == 2
    assert min(compiled) >= 0


def test_gauges_are_0_after_the_last_request_was_cancelled() -> None:
    report = StepReport(0.25, 1, 0, running=1, queued=1, kv_cache_tokens=7, capacity_tokens=8)

    async def scenario() -> None:
        observed = ObservedApp()
        gauges = ["friendli_running_choices", "friendli_queue_length", "friendli_kv_tokens"]
        async with observed.call(stream=True) as call:
            await observed.service.scripted.submitted.wait()
            observed.telemetry.metrics.record_step(report)
            assert [observed.value(gauge) for gauge in gauges] == [1, 1, 7]
            call.disconnect()
            await call.done()
        assert [observed.value(gauge) for gauge in gauges] == [0, 0, 7]

    run(scenario)


# ── scope ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/metrics", "/health", "/nowhere"])
def test_only_chat_completions_are_counted(path: str) -> None:
    async def scenario() -> None:
        observed = ObservedApp()
        async with Call(observed.app, "GET", path) as call:
            await call.done()
        assert observed.ended == {}

    run(scenario)


def test_two_applications_have_separate_metrics() -> None:
    async def scenario() -> None:
        first, second = ObservedApp(), ObservedApp()
        await first.serve(first.call(), DONE)
        assert (len(first.ended), len(second.ended)) == (1, 0)

    run(scenario)

"""Traces: one server span a request, the engine's work in it, and the client's trace around it."""

from itertools import pairwise

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from friendli_endpoint.generation import EngineError, Started
from friendli_endpoint.telemetry.traces import tracer_of_process
from tests.http.scripted import COMPLETIONS, Call, ScriptedService, completions, run, steps
from tests.telemetry.watched import Watched

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
STARTED = Started(cached_tokens=1, queue_seconds=0.5, prefill_seconds=0.25)
DONE = steps("done", finish=True)


def server_span(watched: Watched) -> ReadableSpan:
    """The one span that is no stage."""
    (span,) = (each for each in watched.spans if each.kind is SpanKind.SERVER)
    return span


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


@pytest.mark.parametrize("stream", [False, True])
def test_the_stages_follow_each_other_within_the_request(stream: bool) -> None:
    async def scenario() -> None:
        watched = Watched()
        await watched.serve(watched.call(stream=stream), STARTED, steps("a"), DONE)
        *stages, whole = watched.spans
        assert [each.name for each in stages] == ["queue", "prefill", "decode"]
        assert whole is server_span(watched)
        assert whole.name == f"POST {COMPLETIONS}"
        assert whole.parent is None
        assert {each.parent and each.parent.span_id for each in stages} == {whole.context.span_id}
        assert {each.context.trace_id for each in watched.spans} == {whole.context.trace_id}
        for one, two in pairwise(stages):
            assert one.end_time == two.start_time
        queue, prefill, decode = map(seconds, stages)
        assert queue == pytest.approx(0.5)
        assert prefill == pytest.approx(0.25)
        assert decode >= 0

    run(scenario)


def test_a_span_tells_numbers_and_ids() -> None:
    async def scenario() -> None:
        watched = Watched()
        headers = [("x-request-id", "mine"), ("x-friendli-team", "red")]
        await watched.serve(watched.call(*headers), STARTED, steps("a"), DONE)
        assert server_span(watched).attributes == {
            "http.request.method": "POST",
            "http.route": COMPLETIONS,
            "http.response.status_code": 200,
            "gen_ai.operation.name": "chat",
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.usage.input_tokens": 1,
            "gen_ai.usage.output_tokens": 2,
            "friendli.request_id": "mine",
            "friendli.end_reason": "stop",
            "friendli.cached_prompt_tokens": 1,
            "friendli.team": "red",
        }
        assert server_span(watched).status.status_code is StatusCode.UNSET

    run(scenario)


@pytest.mark.parametrize(
    ("header", "joins"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"00-{TRACE}-{PARENT}-zz", False),
        ("00-" + "0" * 32 + f"-{PARENT}-01", False),
        ("nonsense", False),
    ],
)
def test_the_trace_of_the_client_goes_on(header: str, joins: bool) -> None:
    async def scenario() -> None:
        watched = Watched()
        await watched.serve(watched.call(("traceparent", header)), STARTED, DONE)
        parent = server_span(watched).parent
        found = parent and (f"{parent.trace_id:032x}", f"{parent.span_id:016x}")
        assert found == ((TRACE, PARENT) if joins else None)

    run(scenario)


def test_what_fails_is_marked_and_has_no_stages_that_were_not() -> None:
    async def scenario() -> None:
        watched = Watched()
        await watched.serve(watched.call(stream=True), EngineError("broken"))
        (span,) = watched.spans
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes is not None
        assert span.attributes["friendli.end_reason"] == "engine_failure"

    run(scenario)


def test_the_framework_adds_no_spans_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        watched = Watched()
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: watched.provider)
        await watched.serve(watched.call(), STARTED, DONE)
        assert len(watched.spans) == 4
        async with Call(watched.app) as call:
            await call.done()
        assert len(watched.spans) == 4

    run(scenario)


def test_only_chat_completions_are_traced() -> None:
    async def scenario() -> None:
        watched = Watched()
        async with Call(watched.app) as call:
            await call.done()
        assert watched.spans == []

    run(scenario)


def test_without_an_sdk_nothing_is_traced_and_all_is_served() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(STARTED)
            service.scripted.deliver(DONE)
            assert (await call.done()).status == 200

    assert not tracer_of_process().start_span("nowhere").is_recording()
    run(scenario)

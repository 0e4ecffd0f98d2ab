"""Traces: one server span a request, with stage spans in it and the client's trace as parent."""

from itertools import pairwise

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from friendli_endpoint.generation import EngineError, Started
from friendli_endpoint.telemetry.traces import tracer_of_process
from tests.http.scripted import COMPLETIONS, Call, ScriptedService, completions, run, steps
from tests.telemetry.observed import ObservedApp

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
STARTED = Started(cached_tokens=1, queue_seconds=0.5, prefill_seconds=0.25)
DONE = steps("done", finish=True)


def server_span(observed: ObservedApp) -> ReadableSpan:
    """Returns the only server span."""
    (span,) = (s for s in observed.spans if s.kind is SpanKind.SERVER)
    return span


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


@pytest.mark.parametrize("stream", [False, True])
def test_the_stage_spans_are_contiguous_within_the_request_span(stream: bool) -> None:
    async def scenario() -> None:
        observed = ObservedApp()
        await observed.serve(observed.call(stream=stream), STARTED, steps("a"), DONE)
        *stages, whole = observed.spans
        assert [stage.name for stage in stages] == ["queue", "prefill", "decode"]
        assert whole is server_span(observed)
        assert whole.name == f"POST {COMPLETIONS}"
        assert whole.parent is None
        assert {span.parent and span.parent.span_id for span in stages} == {whole.context.span_id}
        assert {span.context.trace_id for span in observed.spans} == {whole.context.trace_id}
        for earlier, later in pairwise(stages):
            assert earlier.end_time == later.start_time
        queue, prefill, decode = map(seconds, stages)
        assert queue == pytest.approx(0.5)
        assert prefill == pytest.approx(0.25)
        assert decode >= 0

    run(scenario)


def test_a_span_has_numbers_and_ids() -> None:
    async def scenario() -> None:
        observed = ObservedApp()
        headers = [("x-request-id", "mine"), ("x-friendli-team", "red")]
        await observed.serve(observed.call(*headers), STARTED, steps("a"), DONE)
        assert server_span(observed).attributes == {
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
        assert server_span(observed).status.status_code is StatusCode.UNSET

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
def test_a_valid_trace_context_is_continued(header: str, joins: bool) -> None:
    async def scenario() -> None:
        observed = ObservedApp()
        await observed.serve(observed.call(("traceparent", header)), STARTED, DONE)
        parent = server_span(observed).parent
        found = parent and (f"{parent.trace_id:032x}", f"{parent.span_id:016x}")
        assert found == ((TRACE, PARENT) if joins else None)

    run(scenario)


def test_a_failed_request_has_an_error_span_without_stages() -> None:
    async def scenario() -> None:
        observed = ObservedApp()
        await observed.serve(observed.call(stream=True), EngineError("broken"))
        (span,) = observed.spans
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes is not None
        assert span.attributes["friendli.end_reason"] == "engine_failure"

    run(scenario)


def test_the_framework_adds_no_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        observed = ObservedApp()
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: observed.provider)
        await observed.serve(observed.call(), STARTED, DONE)
        assert len(observed.spans) == 4
        async with Call(observed.app) as call:
            await call.done()
        assert len(observed.spans) == 4

    run(scenario)


def test_only_chat_completions_are_traced() -> None:
    async def scenario() -> None:
        observed = ObservedApp()
        async with Call(observed.app) as call:
            await call.done()
        assert observed.spans == []

    run(scenario)


def test_requests_are_served_without_an_sdk() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(STARTED)
            service.scripted.deliver(DONE)
            assert (await call.done()).status == 200

    assert not tracer_of_process().start_span("nowhere").is_recording()
    run(scenario)

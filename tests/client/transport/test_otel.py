from __future__ import annotations

import importlib
from typing import Any

import pytest

import friendli

from ..conftest import Caller
from ..wire import Serve, chunk, completion, event, json_answer, stream_answer, words

trace = importlib.import_module("opentelemetry.trace")


class Span(trace.NonRecordingSpan):  # type: ignore[misc, name-defined]
    def __init__(self, name: str, kind: Any, attributes: dict[str, Any]) -> None:
        context = trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
        super().__init__(context)
        self.name, self.kind, self.attributes = name, kind, dict(attributes)
        self.status: Any = None
        self.ended = 0

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value

    def set_attributes(self, attributes: Any) -> None:
        self.attributes.update(attributes)

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.status = status

    def end(self, end_time: int | None = None) -> None:
        self.ended += 1


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> list[Span]:
    created: list[Span] = []

    class Tracer:
        def start_span(self, name: str, *, kind: Any, attributes: Any) -> Span:
            created.append(Span(name, kind, attributes))
            return created[-1]

    monkeypatch.setattr(trace, "get_tracer", lambda *_: Tracer())
    return created


def test_span_of_a_completion(serve: Serve, caller: Caller, spans: list[Span]) -> None:
    server = serve(json_answer(completion()))
    caller.call(server.url, max_tokens=5, temperature=0.5, stop=["x"], seed=[1])
    [span] = spans
    host, port = server.url.removeprefix("http://").split(":")
    assert (span.name, span.kind, span.ended) == ("chat e", trace.SpanKind.CLIENT, 1)
    assert span.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "friendli",
        "gen_ai.request.model": "e",
        "gen_ai.request.max_tokens": 5,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.stop_sequences": ["x"],
        "server.address": host,
        "server.port": int(port),
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "endpoint",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
    }
    assert server.requests[0].header("traceparent") == (
        "00-00000000000000000000000000000abc-0000000000000def-01"
    )


def test_span_ends_with_the_stream(serve: Serve, caller: Caller, spans: list[Span]) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    *events, done = words("a", "b")
    server = serve(stream_answer([*events, event(chunk(usage=usage)), done]))
    caller.events(server.url)
    assert spans[0].ended == 1
    assert spans[0].attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert spans[0].attributes["gen_ai.usage.output_tokens"] == 2
    caller.events(server.url, 1)
    assert spans[1].ended == 1
    assert spans[1].attributes["gen_ai.response.finish_reasons"] == []


def test_errors_end_the_span_with_an_error_status(
    serve: Serve, caller: Caller, spans: list[Span]
) -> None:
    with pytest.raises(friendli.NotFoundError):
        caller.call(serve(json_answer({}, 404)).url)
    with pytest.raises(friendli.ConnectFailedError):
        caller.call("http://127.0.0.1:9", retries=None)
    with pytest.raises(friendli.ResponseValidationError):
        caller.call(serve(json_answer({})).url)
    outcome = caller.events(serve(stream_answer([*words("a")[:2], event({"error": "x"})])).url)
    assert isinstance(outcome.error, friendli.StreamError)
    assert [span.ended for span in spans] == [1] * 4
    kinds = [span.attributes["error.type"] for span in spans]
    assert kinds[0] == "404" and kinds[1] == "ConnectFailedError"
    assert {span.status.status_code for span in spans} == {trace.StatusCode.ERROR}

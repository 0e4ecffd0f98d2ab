"""OpenTelemetry spans of a request, made when it has ended; without an SDK they are not recorded.

Spans are made from the times in the request record, so they cost nothing during generation. Their
attributes are numbers and ids, never users' text.
"""

import time
from collections.abc import Mapping

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from friendli_endpoint.telemetry.request_record import RequestRecord

__all__ = ["context_of", "make_spans", "tracer_of_process"]

NAME = "friendli_endpoint"


def tracer_of_process() -> Tracer:
    """Returns the tracer of the process's OpenTelemetry SDK; a no-op tracer without one."""
    return trace.get_tracer(NAME)


def context_of(headers: Mapping[str, str]) -> Context:
    """Returns the trace context of a request's headers, which have lower-case names."""
    return propagate.extract(headers)


def make_spans(record: RequestRecord, tracer: Tracer) -> str | None:
    """Makes a server span with one span for each stage of the engine's work.

    Args:
        record: Record of a request that has ended.
        tracer: Tracer of the spans.

    Returns:
        The trace id in hexadecimal; None without an SDK.
    """
    origin = time.time_ns() - time.monotonic_ns()

    def unix_nanoseconds(seconds: float) -> int:
        return origin + int(seconds * 1e9)

    span = tracer.start_span(
        f"{record.method} {record.path}",
        record.context,
        SpanKind.SERVER,
        _attributes(record),
        start_time=unix_nanoseconds(record.begun_at),
    )
    parent = trace.set_span_in_context(span, record.context)
    for name, begin, end in record.stages:
        tracer.start_span(name, parent, start_time=unix_nanoseconds(begin)).end(
            unix_nanoseconds(end)
        )
    if record.status >= 500 or record.reason in ("engine_failure", "internal_error", "timeout"):
        span.set_status(Status(StatusCode.ERROR))
    span.end(unix_nanoseconds(record.begun_at + record.seconds))
    context = span.get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def _attributes(record: RequestRecord) -> dict[str, str | int | list[str]]:
    """Returns the span's attributes, named by OpenTelemetry's semantic conventions if possible."""
    attributes: dict[str, str | int | list[str]] = {
        "http.request.method": record.method,
        "http.route": record.path,
        "http.response.status_code": record.status,
        "gen_ai.operation.name": "chat",
        "friendli.request_id": record.request_id,
        "friendli.end_reason": record.reason or "",
    }
    if record.completion_id is not None and record.prompt_tokens is not None:
        attributes["gen_ai.response.id"] = record.completion_id
        attributes["gen_ai.usage.input_tokens"] = record.prompt_tokens
        attributes["gen_ai.usage.output_tokens"] = record.num_generated
    if record.started is not None:
        attributes["friendli.cached_prompt_tokens"] = record.started.cached_tokens
    if record.team:
        attributes["friendli.team"] = record.team
    return attributes

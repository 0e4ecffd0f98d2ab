"""OpenTelemetry spans of chat calls, by the semantic conventions for generative AI clients.

Inactive, without any import, unless the program itself has imported `opentelemetry.trace` (extra
`otel`). Spans do not contain the content of messages. The span of a stream ends
with the stream. The trace context is sent to the endpoint in the request headers.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from friendli._version import VERSION

if TYPE_CHECKING:
    from friendli._transport.call import Call
    from friendli._transport.flow import Flow
    from friendli.models.completion import ContainerChatCompleteSuccess

_REQUEST: Final = {
    "max_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
}


class Trace:
    """Span of one call."""

    def __init__(self, span: Any) -> None:
        self._span = span
        self._open = True

    def during(self, flow: Flow) -> Flow:
        """Run an exchange inside the span, and end the span if it fails."""
        try:
            return (yield from flow)
        except BaseException as error:
            self.fail(error)
            raise

    def fail(self, error: BaseException) -> None:
        """End the span with an error."""
        if self._open:
            from opentelemetry.trace import Status, StatusCode

            status = getattr(error, "status_code", None)
            if status is not None:
                self._span.set_attribute("http.response.status_code", status)
            self._span.set_attribute("error.type", str(status or type(error).__qualname__))
            self._span.set_status(Status(StatusCode.ERROR))
            self._end()

    def succeed(self, completion: ContainerChatCompleteSuccess | None) -> None:
        """End the span with the attributes of the answer, if there is one."""
        if not self._open:
            return
        if completion is not None:
            self._describe(completion)
        self._end()

    def _describe(self, completion: ContainerChatCompleteSuccess) -> None:
        attributes: dict[str, Any] = {
            "gen_ai.response.id": completion.id,
            "gen_ai.response.model": completion.model or None,
            "gen_ai.response.finish_reasons": [
                choice.finish_reason for choice in completion.choices if choice.finish_reason
            ],
        }
        usage = completion.usage
        if usage:
            attributes["gen_ai.usage.input_tokens"] = usage.prompt_tokens
            attributes["gen_ai.usage.output_tokens"] = usage.completion_tokens
        self._span.set_attributes({k: v for k, v in attributes.items() if v is not None})

    def _end(self) -> None:
        self._open = False
        self._span.end()


def begin(call: Call, body: Mapping[str, Any]) -> Trace | None:
    """Begin the span of a call; None if the program does not use OpenTelemetry."""
    api: Any = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    server = urlsplit(call.url)
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "friendli",
        "gen_ai.request.model": call.model,
        "server.address": server.hostname,
        "server.port": server.port or (443 if server.scheme == "https" else 80),
    }
    for name, attribute in _REQUEST.items():
        value = body.get(name)
        if isinstance(value, int | float):
            attributes[attribute] = value
    stop = body.get("stop")
    if isinstance(stop, list | tuple | str) and stop:
        attributes["gen_ai.request.stop_sequences"] = [stop] if isinstance(stop, str) else [*stop]
    span = api.get_tracer("friendli", VERSION).start_span(
        f"chat {call.model}", kind=api.SpanKind.CLIENT, attributes=attributes
    )
    from opentelemetry.propagate import inject

    inject(call.headers, context=api.set_span_in_context(span))
    return Trace(span)

"""The record of one request, from which metrics, spans and the access log are made."""

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from opentelemetry.context import Context

from friendli_endpoint.generation import RequestError, Started

__all__ = ["RequestRecord", "Stage"]

Stage = tuple[str, float, float]
"""A stage of the engine's work on a request: name, start and end, in monotonic seconds."""


@dataclass(slots=True, eq=False)
class RequestRecord:
    """A request from its arrival to its end; times are seconds of `time.monotonic`.

    Attributes:
        method: HTTP method.
        path: Path of the URL.
        request_id: The response's `x-request-id`.
        is_completion: Whether it is a chat completion.
        context: Trace context from the request's headers.
        team: Team that the request is counted for; empty without one. The number of teams is
            limited once the request has ended.
        begun_at: Time at which the headers had arrived.
        ended_at: Time at which the response was sent or abandoned; None before.
        status: Status of the response; 499 if the client disconnected before there was one.
        reason: Reason of the end: a finish reason, or the code of an error.
        completion_id: Id of the completion, once the request is prepared.
        prompt_tokens: Number of prompt tokens, once the request is prepared.
        messages: The request's messages; set only if prompts are logged.
        submitted_at: Time of the submission to the engine; None before.
        started: The engine's report after prefill; None before.
        started_at: Time of the end of prefill.
        first_token_at: Time of the first token; None before.
        last_token_at: Time of the last token so far; None before the first.
        num_generated: Number of generated tokens so far.
    """

    method: str
    path: str
    request_id: str
    is_completion: bool
    context: Context
    team: str
    begun_at: float = field(default_factory=monotonic)
    ended_at: float | None = None
    status: int = 0
    reason: str | None = None
    completion_id: str | None = None
    prompt_tokens: int | None = None
    messages: Any = None
    submitted_at: float | None = None
    started: Started | None = None
    started_at: float = 0.0
    first_token_at: float | None = None
    last_token_at: float | None = None
    num_generated: int = 0

    def end(self, reason: str) -> None:
        """Sets the reason of the end, unless one is already set."""
        self.reason = self.reason or reason

    def end_with_error(self, error: RequestError) -> None:
        """Sets the reason of the end to the code of an error."""
        self.end(error.code or "refused")

    @property
    def seconds(self) -> float:
        """Duration from the arrival to the end, or until now."""
        return (self.ended_at or monotonic()) - self.begun_at

    @property
    def stages(self) -> list[Stage]:
        """Stages of the engine's work; empty before the end of prefill."""
        if self.started is None:
            return []
        prefill = self.started_at - self.started.prefill_seconds
        queue = prefill - self.started.queue_seconds
        end = self.last_token_at or self.ended_at or monotonic()
        return [
            ("queue", queue, prefill),
            ("prefill", prefill, self.started_at),
            ("decode", self.started_at, end),
        ]

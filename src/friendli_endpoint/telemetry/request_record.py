"""What becomes of one request, written down as it happens; knows no metric, span or line."""

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from opentelemetry.context import Context

from friendli_endpoint.generation import RequestError, Started

__all__ = ["RequestRecord", "Stage"]

Stage = tuple[str, float, float]
"""A part of the work on a request: its name, its beginning and its end."""


@dataclass(slots=True, eq=False)
class RequestRecord:
    """A request from its arrival to its end; times are seconds of `time.monotonic`.

    Attributes:
        method: GET, POST and so on.
        path: As it was asked for.
        request_id: What the answer has as `x-request-id`.
        is_completion: Whether it asks for a chat completion.
        context: The trace that the client says it belongs to.
        team: The team that it counts for, one of a bounded number; empty where none is named.
        begun: When its headers had arrived.
        ended: When its answer was sent, or given up.
        status: Of the answer; 499 where the client left before there was one.
        reason: Why it ended: what a choice ended with, or the code of an error.
        completion_id: The answer's own id, once the request is accepted.
        prompt_tokens: Tokens of its prompt, then.
        messages: What the user wrote, kept only where prompts are logged.
        submitted_at: When the engine took it; None before.
        started: What the engine told of the prompt, when that was in.
        started_at: When that was.
        first_token: When the first token was there.
        last_token: When the last one was, so far.
        generated: How many there are.
    """

    method: str
    path: str
    request_id: str
    is_completion: bool
    context: Context
    team: str
    begun: float = field(default_factory=monotonic)
    ended: float | None = None
    status: int = 0
    reason: str | None = None
    completion_id: str | None = None
    prompt_tokens: int | None = None
    messages: Any = None
    submitted_at: float | None = None
    started: Started | None = None
    started_at: float = 0.0
    first_token: float | None = None
    last_token: float | None = None
    generated: int = 0

    def end(self, reason: str) -> None:
        """Says why it ends; the first reason is the one that counts."""
        self.reason = self.reason or reason

    def refuse(self, refusal: RequestError) -> None:
        """Says that it ends with a refusal."""
        self.end(refusal.code or "refused")

    @property
    def seconds(self) -> float:
        """From its arrival to its end, or until now."""
        return (self.ended or monotonic()) - self.begun

    @property
    def stages(self) -> list[Stage]:
        """The parts of the engine's work, when the prompt is in."""
        if self.started is None:
            return []
        prefill = self.started_at - self.started.prefill_seconds
        queue = prefill - self.started.queue_seconds
        end = self.last_token or self.ended or monotonic()
        return [
            ("queue", queue, prefill),
            ("prefill", prefill, self.started_at),
            ("decode", self.started_at, end),
        ]

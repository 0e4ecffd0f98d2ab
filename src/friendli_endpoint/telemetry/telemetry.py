"""Records requests in metrics, traces and the access log."""

import logging
import re
from collections.abc import Mapping
from time import monotonic
from typing import Any

from opentelemetry.trace import Tracer
from pydantic import BaseModel

from friendli_endpoint.generation import Event, GenerationRequest, Started
from friendli_endpoint.telemetry.metrics import Metrics
from friendli_endpoint.telemetry.request_log import fields_of, line_of
from friendli_endpoint.telemetry.request_record import RequestRecord
from friendli_endpoint.telemetry.traces import context_of, make_spans, tracer_of_process

__all__ = ["Teams", "Telemetry"]

log = logging.getLogger("friendli_endpoint.http")

TEAM_HEADER = "x-friendli-team"

CLIENT_DISCONNECTED = 499
"""Status of a request whose client disconnected before there was a response."""

_REASONS = {401: "unauthorized", CLIENT_DISCONNECTED: "cancelled"}
"""Reasons by status, for requests that ended without one; for any other it is an internal error."""

OTHER = "other"
"""Team of all requests whose own team is not among the known ones."""

_ALLOWED = re.compile(r"[A-Za-z0-9_.:/@-]{1,64}")


class Teams:
    """A limited number of known teams, those that were seen first.

    Args:
        max_teams: Maximum number of known teams.
    """

    def __init__(self, max_teams: int) -> None:
        self._max_teams = max_teams
        self._known: set[str] = set()

    def find(self, name: str) -> str:
        """Returns the team of a header's value: `name` if known or empty, else `OTHER`."""
        return name if not name or name in self._known else OTHER

    def admit(self, name: str) -> str:
        """Adds a team if its name is valid and the maximum is not reached; then as `find`."""
        if len(self._known) < self._max_teams and _ALLOWED.fullmatch(name):
            self._known.add(name)
        return self.find(name)


class Telemetry:
    """Records requests from their arrival to their end.

    Args:
        metrics: Metrics to update; by default new ones.
        tracer: Tracer of the spans; by default that of the process.
        max_teams: Maximum number of teams with their own label value.
        log_prompts: Whether the messages of requests are logged.

    Attributes:
        metrics: The metrics.
    """

    def __init__(
        self,
        metrics: Metrics | None = None,
        tracer: Tracer | None = None,
        *,
        max_teams: int = 50,
        log_prompts: bool = False,
    ) -> None:
        self.metrics = metrics or Metrics()
        self._tracer = tracer or tracer_of_process()
        self._teams = Teams(max_teams)
        self._log_prompts = log_prompts

    def begin(
        self, method: str, path: str, request_id: str, headers: Mapping[str, str], completions: str
    ) -> RequestRecord:
        """Returns the record of a request that has arrived.

        Args:
            method: HTTP method.
            path: Path of the URL.
            request_id: Request id of the response.
            headers: Headers of the request, by lower-case name.
            completions: Path of the chat completions.
        """
        return RequestRecord(
            method,
            path,
            request_id,
            is_completion=method == "POST" and path == completions,
            context=context_of(headers),
            team=headers.get(TEAM_HEADER, ""),
        )

    def messages_of(self, body: BaseModel) -> list[Any] | None:
        """Returns the messages of a request's body as JSON, or None if they are not logged."""
        if not self._log_prompts:
            return None
        content = body.model_dump(mode="json", include={"messages"}, exclude_none=True)
        messages: list[Any] = content["messages"]
        return messages

    def record_prepared(
        self, record: RequestRecord, request: GenerationRequest, messages: list[Any] | None
    ) -> None:
        """Records that a chat completion is valid and prepared for the engine.

        Args:
            record: Record of the request.
            request: The request for the engine.
            messages: The messages that the log shows, if it does.
        """
        record.team = self._teams.admit(record.team)
        record.completion_id = request.request_id
        record.prompt_tokens = request.num_prompt_tokens
        record.messages = messages

    def record_submitted(self, record: RequestRecord) -> None:
        """Records that a chat completion was submitted to the engine."""
        record.submitted_at = monotonic()
        self.metrics.record_submitted()

    def record_event(self, record: RequestRecord, event: Event, num_tokens: int) -> None:
        """Records an event of the engine that generated `num_tokens` tokens."""
        submitted_at = record.submitted_at or 0.0
        if isinstance(event, Started):
            record.started = event
            record.started_at = submitted_at + event.queue_seconds + event.prefill_seconds
            self.metrics.record_prefill(record, event)
        elif num_tokens:
            generated_at = submitted_at + event.seconds
            self.metrics.record_tokens(record, num_tokens, generated_at)
            record.first_token_at = record.first_token_at or generated_at
            record.last_token_at = generated_at
            record.num_generated += num_tokens

    def end(self, record: RequestRecord, status: int) -> None:
        """Records the end of a request: counts it, makes its spans and logs it.

        Args:
            record: Record of the request.
            status: Status of the response; 0 if there was none.
        """
        record.ended_at = monotonic()
        record.status = status or CLIENT_DISCONNECTED
        record.team = self._teams.find(record.team)
        trace_id = None
        if record.is_completion:
            record.end(_REASONS.get(record.status, "internal_error"))
            self.metrics.record_end(record)
            trace_id = make_spans(record, self._tracer)
        fields = fields_of(record, trace_id)
        log.info("%s", line_of(fields), extra={"fields": fields})

"""Tells metrics, traces and the log what becomes of each request."""

import logging
import re
from collections.abc import Mapping
from time import monotonic

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

CLIENT_LEFT = 499
"""The status of a request whose client has left before there was one."""

_REASONS = {401: "unauthorized", CLIENT_LEFT: "cancelled"}
"""By status, for answers that are given without a word about it; the others are our failures."""

OTHER = "other"
"""The team of all requests whose own is not told apart."""

_ALLOWED = re.compile(r"[A-Za-z0-9_.:/@-]{1,64}")


class Teams:
    """The teams that came first, up to a number.

    Args:
        max_teams: How many are told apart.
    """

    def __init__(self, max_teams: int) -> None:
        self._max_teams = max_teams
        self._known: set[str] = set()

    def find(self, asked: str) -> str:
        """The team of a header, if it is known; without a header there is none."""
        return asked if not asked or asked in self._known else OTHER

    def admit(self, asked: str) -> str:
        """The team of a header, known from now on if there is room and it has a fit name."""
        if len(self._known) < self._max_teams and _ALLOWED.fullmatch(asked):
            self._known.add(asked)
        return self.find(asked)


class Telemetry:
    """Watches requests from their arrival to their end.

    Args:
        metrics: Where they are counted.
        tracer: Where their spans go; by default that of the process.
        max_teams: How many teams are told apart.
        log_prompts: Whether what users write may be logged.

    Attributes:
        metrics: The same.
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
        """A request has arrived.

        Args:
            method: GET, POST and so on.
            path: What it asks for.
            request_id: What it is called.
            headers: By lower-case name.
            completions: The path of chat completions.
        """
        return RequestRecord(
            method,
            path,
            request_id,
            is_completion=method == "POST" and path == completions,
            context=context_of(headers),
            team=headers.get(TEAM_HEADER, ""),
        )

    def accepted(self, record: RequestRecord, request: GenerationRequest, body: BaseModel) -> None:
        """A chat completion may go to the engine.

        Args:
            record: The request.
            request: The same for the engine.
            body: The same as it came; it has `messages`.
        """
        record.team = self._teams.admit(record.team)
        record.completion_id = request.request_id
        record.prompt_tokens = request.num_prompt_tokens
        if self._log_prompts:
            said = body.model_dump(mode="json", include={"messages"}, exclude_none=True)
            record.messages = said["messages"]

    def submitted(self, record: RequestRecord) -> None:
        """The engine took a chat completion."""
        record.submitted_at = monotonic()
        self.metrics.submitted()

    def heard(self, record: RequestRecord, event: Event, num_tokens: int) -> None:
        """The engine tells something of a request that it took, with so many tokens."""
        submitted = record.submitted_at or 0.0
        if isinstance(event, Started):
            record.started = event
            record.started_at = submitted + event.queue_seconds + event.prefill_seconds
            self.metrics.started(record, event)
        elif num_tokens:
            generated_at = submitted + event.seconds
            self.metrics.generated(record, num_tokens, generated_at)
            record.first_token = record.first_token or generated_at
            record.last_token = generated_at
            record.generated += num_tokens

    def ended(self, record: RequestRecord, status: int) -> None:
        """A request was answered with a status, or none, and all of the answer was sent."""
        record.ended = monotonic()
        record.status = status or CLIENT_LEFT
        record.team = self._teams.find(record.team)
        trace_id = None
        if record.is_completion:
            record.end(_REASONS.get(record.status, "internal_error"))
            self.metrics.ended(record)
            trace_id = make_spans(record, self._tracer)
        fields = fields_of(record, trace_id)
        log.info("%s", line_of(fields), extra={"fields": fields})

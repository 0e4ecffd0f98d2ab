"""The metrics, in Prometheus' text form; `deploy/metrics.json` lists them."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from friendli_endpoint.generation import Started, StepReport
from friendli_endpoint.telemetry.request_record import RequestRecord

__all__ = ["CONTENT_TYPE", "Metrics"]

# They would double the series, and this form of text has no use for them.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

LONG = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
"""Bounds in seconds of what takes as long as a request does."""

SHORT = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5)
"""Bounds in seconds of what takes as long as a token does."""


class Metrics:
    """Counts of one endpoint, in a registry of its own; safe to use from many threads."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._in_engine = 0
        self._requests = self._counter(
            "friendli_requests_total",
            "Chat completions that ended, by HTTP status and by the reason of the end.",
            "status",
            "reason",
            "team",
        )
        self._rejected = self._counter(
            "friendli_rejected_total",
            "Chat completions that were turned away before the engine took them, by error code.",
            "reason",
        )
        self._cancelled = self._counter(
            "friendli_cancelled_total", "Chat completions whose client left before the end."
        )
        self._queue_length = self._gauge(
            "friendli_queue_length", "Requests that wait for the first work on their prompt."
        )
        self._queue_wait = self._histogram(
            "friendli_queue_wait_seconds", "From submission to the first work on the prompt.", LONG
        )
        self._running = self._gauge(
            "friendli_running_choices", "Choices that have a place in the batch."
        )
        self._first_token = self._histogram(
            "friendli_time_to_first_token_seconds",
            "From the arrival of a request to its first token.",
            LONG,
        )
        self._between_tokens = self._histogram(
            "friendli_time_between_tokens_seconds",
            "From one step that gave a request tokens to the next that did.",
            SHORT,
        )
        self._seconds = self._histogram(
            "friendli_request_seconds",
            "From the arrival of a request that the engine took to the end of its answer.",
            LONG,
        )
        self._prompt_tokens = self._counter(
            "friendli_prompt_tokens_total", "Tokens of prompts that were taken in.", "team"
        )
        self._generated_tokens = self._counter(
            "friendli_generated_tokens_total", "Tokens that were generated.", "team"
        )
        self._cached_tokens = self._counter(
            "friendli_cached_prompt_tokens_total",
            "Tokens of prompts that needed no computing, because they were cached.",
            "team",
        )
        self._kv_tokens = self._gauge(
            "friendli_kv_tokens", "Tokens in the key-value cache, of running and of ended choices."
        )
        self._kv_room = self._gauge(
            "friendli_kv_room_tokens", "Tokens that the key-value cache can hold."
        )
        self._step = self._histogram(
            "friendli_step_seconds", "One turn of the engine that computed something.", SHORT
        )
        self._drafted = self._counter(
            "friendli_draft_tokens_total", "Tokens that were computed ahead because of a guess."
        )
        self._accepted = self._counter(
            "friendli_accepted_draft_tokens_total", "Those of them that were right."
        )
        self._compile = self._histogram(
            "friendli_constraint_compile_seconds",
            "Compiling a schema, a regular expression or a grammar that was not kept.",
            SHORT,
        )

    def turned(self, report: StepReport) -> None:
        """Takes what the engine says of one turn."""
        self._step.observe(report.seconds)
        self._running.set(report.running)
        self._queue_length.set(report.queued)
        self._kv_tokens.set(report.held_tokens)
        self._kv_room.set(report.capacity_tokens)
        self._drafted.inc(report.drafted)
        self._accepted.inc(report.accepted)

    def compiled(self, seconds: float) -> None:
        """A constraint was compiled, or could not be."""
        self._compile.observe(seconds)

    def submitted(self) -> None:
        """The engine took a request."""
        self._in_engine += 1

    def started(self, record: RequestRecord, started: Started) -> None:
        """A prompt has been taken in."""
        self._queue_wait.observe(started.queue_seconds)
        self._prompt_tokens.labels(record.team).inc(record.prompt_tokens or 0)
        self._cached_tokens.labels(record.team).inc(started.cached_tokens)

    def generated(self, record: RequestRecord, tokens: int, now: float) -> None:
        """A step gave a request so many tokens, the first of which may be its first."""
        self._generated_tokens.labels(record.team).inc(tokens)
        if record.last_token is None:
            self._first_token.observe(now - record.begun)
        else:
            self._between_tokens.observe(now - record.last_token)

    def ended(self, record: RequestRecord) -> None:
        """A chat completion has ended, one way or another."""
        reason = record.reason or ""
        self._requests.labels(str(record.status), reason, record.team).inc()
        if reason == "cancelled":
            self._cancelled.inc()
        if record.submitted_at is not None:
            self._in_engine -= 1
            self._seconds.observe(record.seconds)
        elif reason != "cancelled":
            self._rejected.labels(reason).inc()

    def exposition(self) -> bytes:
        """All of it, as `CONTENT_TYPE` says."""
        if not self._in_engine:  # no turn, and so no report, follows the last one's cancellation
            self._running.set(0)
            self._queue_length.set(0)
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self._registry)

    def _histogram(self, name: str, text: str, bounds: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, registry=self._registry, buckets=bounds)

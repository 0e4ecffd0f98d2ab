"""Metrics in the Prometheus text format; `deploy/metrics.json` lists them."""

from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from friendli_endpoint.generation import Engine, Started, StepReport
from friendli_endpoint.telemetry.request_record import RequestRecord

__all__ = ["CONTENT_TYPE", "Metrics"]

# The `_created` series would double the number of series, and this text format does not use them.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

LONG = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
"""Buckets of histograms of durations in the order of a request, in seconds."""

SHORT = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5)
"""Buckets of histograms of durations in the order of a token, in seconds."""


class Metrics:
    """Metrics of one endpoint, in a registry of their own; safe to use from many threads."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._num_in_engine = 0
        self._last_step: StepReport | None = None
        self._engines = _EngineCollector()
        self._registry.register(self._engines)
        self._requests = self._counter(
            "friendli_requests_total",
            "Chat completions that ended, by HTTP status and reason.",
            "status",
            "reason",
            "team",
        )
        self._rejected = self._counter(
            "friendli_rejected_total",
            "Chat completions rejected before they were submitted to the engine, by error code.",
            "reason",
        )
        self._cancelled = self._counter(
            "friendli_cancelled_total",
            "Chat completions cancelled because the client disconnected.",
        )
        self._queue_length = self._gauge(
            "friendli_queue_length", "Requests that wait for the start of their prefill."
        )
        self._queue_wait = self._histogram(
            "friendli_queue_wait_seconds", "Time from submission to the start of prefill.", LONG
        )
        self._running = self._gauge("friendli_running_choices", "Choices in the running batch.")
        self._first_token = self._histogram(
            "friendli_time_to_first_token_seconds",
            "Time from the arrival of a request to its first token.",
            LONG,
        )
        self._between_tokens = self._histogram(
            "friendli_time_between_tokens_seconds",
            "Time between two consecutive steps that generated tokens of a request.",
            SHORT,
        )
        self._seconds = self._histogram(
            "friendli_request_seconds",
            "Time from the arrival of a request to the end of its response, if it was submitted.",
            LONG,
        )
        self._prompt_tokens = self._counter(
            "friendli_prompt_tokens_total", "Prompt tokens of prefilled requests.", "team"
        )
        self._generated_tokens = self._counter(
            "friendli_generated_tokens_total", "Generated tokens.", "team"
        )
        self._cached_tokens = self._counter(
            "friendli_cached_prompt_tokens_total",
            "Prompt tokens that were found in the prefix cache.",
            "team",
        )
        self._kv_tokens = self._gauge(
            "friendli_kv_tokens", "Tokens in the KV cache, of running and finished choices."
        )
        self._kv_capacity = self._gauge(
            "friendli_kv_room_tokens", "Capacity of the KV cache in tokens."
        )
        self._step = self._histogram(
            "friendli_step_seconds", "Duration of an engine step that computed something.", SHORT
        )
        self._drafted = self._counter(
            "friendli_draft_tokens_total", "Draft tokens proposed by prompt lookup."
        )
        self._accepted = self._counter(
            "friendli_accepted_draft_tokens_total", "Draft tokens that were accepted."
        )
        self._disk_tokens = self._counter(
            "friendli_disk_cached_prompt_tokens_total",
            "Prompt tokens that were read from the prefix cache on disk.",
        )
        self._disk_read = self._counter(
            "friendli_prefix_cache_read_bytes_total",
            "Bytes that were read from the prefix cache on disk.",
        )
        self._disk_written = self._counter(
            "friendli_prefix_cache_written_bytes_total",
            "Bytes that were written to the prefix cache on disk.",
        )
        self._compile = self._histogram(
            "friendli_constraint_compile_seconds",
            "Time to compile a JSON schema, regular expression or grammar that was not cached.",
            SHORT,
        )

    def record_step(self, report: StepReport) -> None:
        """Records one step of the engine."""
        self._step.observe(report.seconds)
        self._last_step = report
        if report.drafted:
            self._drafted.inc(report.drafted)
            self._accepted.inc(report.accepted)
        if report.disk_read_bytes or report.disk_written_bytes:
            self._disk_tokens.inc(report.disk_tokens)
            self._disk_read.inc(report.disk_read_bytes)
            self._disk_written.inc(report.disk_written_bytes)

    def watch(self, engine: Engine) -> None:
        """Reports from now on how many engines serve, and how many were lost."""
        self._engines.engine = engine

    def record_compile(self, seconds: float) -> None:
        """Records a compilation of a constraint, successful or not."""
        self._compile.observe(seconds)

    def record_submitted(self) -> None:
        """Records that a request was submitted to the engine."""
        self._num_in_engine += 1

    def record_prefill(self, record: RequestRecord, started: Started) -> None:
        """Records the end of a request's prefill."""
        self._queue_wait.observe(started.queue_seconds)
        self._prompt_tokens.labels(record.team).inc(record.prompt_tokens or 0)
        self._cached_tokens.labels(record.team).inc(started.cached_tokens)

    def record_tokens(self, record: RequestRecord, num_tokens: int, now: float) -> None:
        """Records the tokens that one step generated, before `record` is updated."""
        self._generated_tokens.labels(record.team).inc(num_tokens)
        if record.last_token_at is None:
            self._first_token.observe(now - record.begun_at)
        else:
            self._between_tokens.observe(now - record.last_token_at)

    def record_end(self, record: RequestRecord) -> None:
        """Records the end of a chat completion, whatever its reason."""
        reason = record.reason or ""
        self._requests.labels(str(record.status), reason, record.team).inc()
        if reason == "cancelled":
            self._cancelled.inc()
        if record.submitted_at is not None:
            self._num_in_engine -= 1
            self._seconds.observe(record.seconds)
        elif reason != "cancelled":
            self._rejected.labels(reason).inc()

    def exposition(self) -> bytes:
        """Returns all metrics in the format of `CONTENT_TYPE`."""
        if (step := self._last_step) is not None:
            # No step, so no report, follows the last request's cancellation.
            self._running.set(step.running if self._num_in_engine else 0)
            self._queue_length.set(step.queued if self._num_in_engine else 0)
            self._kv_tokens.set(step.kv_cache_tokens)
            self._kv_capacity.set(step.capacity_tokens)
        return generate_latest(self._registry)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, registry=self._registry)

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(name, help_text, registry=self._registry)

    def _histogram(self, name: str, help_text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, help_text, registry=self._registry, buckets=buckets)


class _EngineCollector(Collector):
    """Reads the numbers of engines whenever the metrics are requested.

    Attributes:
        engine: The engine, or None before the model is loaded.
    """

    engine: Engine | None = None

    def collect(self) -> Iterator[Metric]:
        """Yields the metrics."""
        engine = self.engine
        num_ready, num_lost = (engine.num_ready, engine.num_lost) if engine is not None else (0, 0)
        yield GaugeMetricFamily("friendli_engines", "Engines that serve requests.", num_ready)
        yield CounterMetricFamily(
            "friendli_engines_lost",
            "Engines that ended or hung, and were started again.",
            num_lost,
        )

"""A scripted application whose metrics, spans and log a test reads."""

import json
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from friendli_endpoint.http.application import build_app
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.telemetry import Telemetry
from tests.http.scripted import (
    COMPLETIONS,
    VALID,
    Call,
    EngineMessage,
    ScriptedService,
    no_lifespan,
)


@dataclass
class ObservedApp:
    """An application and its telemetry.

    Attributes:
        policy: Fields of its policy.
        telemetry_options: Parameters of its telemetry.
    """

    policy: dict[str, Any] = field(default_factory=dict)
    telemetry_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.service = ScriptedService()
        self._spans = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.telemetry = Telemetry(
            tracer=self.provider.get_tracer("test"), **self.telemetry_options
        )
        self.app: FastAPI = build_app(
            self.service, Policy(max_body=10_000, **self.policy), no_lifespan, self.telemetry
        )

    def call(self, *headers: tuple[str, str], sent: bytes | None = None, **given: Any) -> Call:
        """Returns a call of the chat completions with these fields, or with this body."""
        body = json.dumps({**VALID, **given}).encode() if sent is None else sent
        return Call(self.app, "POST", COMPLETIONS, headers=headers, body=[body])

    async def serve(self, call: Call, *messages: EngineMessage) -> Call:
        """Serves a call with these messages of the engine."""
        self.service.scripted.submitted.clear()
        async with call:
            await self.service.scripted.submitted.wait()
            for message in messages:
                self.service.scripted.deliver(message)
            return await call.done()

    @property
    def text(self) -> str:
        """All metrics as text."""
        return self.telemetry.metrics.exposition().decode()

    def samples(self, name: str) -> list[Sample]:
        """Returns the samples of a series."""
        families = text_string_to_metric_families(self.text)
        samples = [sample for family in families for sample in family.samples]
        return [sample for sample in samples if sample.name == name]

    def value(self, name: str, **labels: str) -> float:
        """Returns the sum of the samples with these labels."""
        samples = [s for s in self.samples(name) if labels.items() <= s.labels.items()]
        return sum(sample.value for sample in samples)

    @property
    def ended(self) -> dict[tuple[str, str], float]:
        """Number of ended requests by status and reason."""
        return {
            (sample.labels["status"], sample.labels["reason"]): sample.value
            for sample in self.samples("friendli_requests_total")
        }

    def teams(self, name: str) -> dict[str, float]:
        """Returns the values of a series by team."""
        return {sample.labels["team"]: sample.value for sample in self.samples(name)}

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended."""
        return list(self._spans.get_finished_spans())

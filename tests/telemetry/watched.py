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
from tests.http.scripted import COMPLETIONS, VALID, Call, News, ScriptedService, no_lifespan


@dataclass
class Watched:
    """An application and what is seen of it.

    Attributes:
        granted: Fields of its policy.
        watching: Parameters of its telemetry.
    """

    granted: dict[str, Any] = field(default_factory=dict)
    watching: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.service = ScriptedService()
        self._spans = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.telemetry = Telemetry(tracer=self.provider.get_tracer("test"), **self.watching)
        self.app: FastAPI = build_app(
            self.service, Policy(max_body=10_000, **self.granted), no_lifespan, self.telemetry
        )

    def call(self, *headers: tuple[str, str], sent: bytes | None = None, **given: Any) -> Call:
        """A chat completion with these fields, or with this body."""
        body = json.dumps({**VALID, **given}).encode() if sent is None else sent
        return Call(self.app, "POST", COMPLETIONS, headers=headers, body=[body])

    async def serve(self, call: Call, *news: News) -> Call:
        """Serves a call with what the engine says."""
        self.service.scripted.submitted.clear()
        async with call:
            await self.service.scripted.submitted.wait()
            for told in news:
                self.service.scripted.deliver(told)
            return await call.done()

    @property
    def text(self) -> str:
        """All metrics."""
        return self.telemetry.metrics.exposition().decode()

    def samples(self, name: str) -> list[Sample]:
        """The series of one name."""
        families = text_string_to_metric_families(self.text)
        return [each for family in families for each in family.samples if each.name == name]

    def value(self, name: str, **labels: str) -> float:
        """What the series with these labels add up to."""
        found = [each for each in self.samples(name) if labels.items() <= each.labels.items()]
        return sum(each.value for each in found)

    @property
    def ended(self) -> dict[tuple[str, str], float]:
        """How many requests ended with each status and reason."""
        return {
            (sample.labels["status"], sample.labels["reason"]): sample.value
            for sample in self.samples("friendli_requests_total")
        }

    def teams(self, name: str) -> dict[str, float]:
        """What the series of one name say of each team."""
        return {sample.labels["team"]: sample.value for sample in self.samples(name)}

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended."""
        return list(self._spans.get_finished_spans())

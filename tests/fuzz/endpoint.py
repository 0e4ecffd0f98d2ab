"""The whole endpoint without a model: real components over a scripted vocabulary and backend."""

import asyncio
import contextlib
import json
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import HealthCheck, settings

from friendli_endpoint.app import create_app
from friendli_endpoint.engine.core.engine import LocalEngine
from friendli_endpoint.generation import Engine, GuideMaker, StepReport
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.service import EndpointService
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Telemetry
from tests.http.scripted import Call
from tests.support.scripted import chaotic, serving
from tests.support.source import ScriptedSource

CASES = int(os.environ.get("FUZZ_CASES", "300"))
"""Number of mutated requests."""

CASES_OF_DOCUMENT = max(1, CASES // 20)
"""Number of cases of each kind from the OpenAPI document, which generates about ten per second."""

SECONDS = 20.0
"""Time after which a case counts as hung."""

CONTEXT = 512
TEMPLATE = (
    "{% for tool in tools or [] %}{{ tool | tojson }}{% endfor %}"
    "{% for m in messages %}<|im_start|>{{ m.role }} {{ m.content }}"
    "{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}<|im_end|>{% endfor %}"
    "{% if extra %}{{ extra | tojson(indent=1) }}{% endif %}{{ reasoning_effort }}"
    "<|im_start|>assistant\n{% if think %}<think>\n{% endif %}"
)


def fuzzing(cases: int) -> settings:
    """Returns settings for this number of cases, deterministic unless FUZZ_CASES is set."""
    return settings(
        max_examples=cases,
        derandomize="FUZZ_CASES" not in os.environ,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


class Endpoint:
    """An application that is called with one request after another."""

    def __init__(self, app: Any, runner: asyncio.Runner) -> None:
        self._app = app
        self._runner = runner

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()
    ) -> Call:
        """Sends a request and checks its answer, with `check` if it has content.

        Returns the finished call.
        """

        async def call_app() -> Call:
            async with asyncio.timeout(SECONDS):
                async with Call(self._app, method, path, headers=headers, body=[body]) as call:
                    return await call.done()

        call = self._runner.run(call_app())
        if method == "HEAD":
            assert call.ended and call.body == b"" and call.header("content-length")
        else:
            check(call)
        return call


def check(call: Call) -> None:
    """Checks that an answer is complete, or is a 4xx error in the common format."""
    assert call.ended
    assert call.header("x-request-id")
    if call.status in (200, 201):
        if (call.header("content-type") or "").startswith("text/event-stream"):
            assert call.events[-1] == "[DONE]", call.events[-1]
        else:
            json.loads(call.body, parse_constant=_reject_constant)
        return
    assert 400 <= call.status < 500, call.body
    error = call.json["error"]
    assert list(call.json) == ["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str) and error["message"]
    assert len(call.body) < 20_000


def _reject_constant(name: str) -> float:
    raise AssertionError(f"{name} is not valid JSON: {math.nan}")


class ChaoticSource(ScriptedSource):
    """A model source with a scripted backend."""

    context = CONTEXT

    def open(self, make_guide: GuideMaker, _report: Callable[[StepReport], None]) -> Engine:
        serves = serving(
            chaotic(self._vocabulary.size), vocabulary=self._vocabulary, make_guide=make_guide
        )
        loop, _backend = self.stack.enter_context(serves)
        return LocalEngine(loop, self.card(4, TEMPLATE))


@contextlib.contextmanager
def endpoint() -> Iterator[Endpoint]:
    """Yields the endpoint; at the end, the backend must not have seen a contract violation."""
    source = ChaoticSource()
    service = EndpointService(
        Settings(max_choices=4, workers=1, tool_family="hermes"), source, Telemetry()
    )
    service.load()
    policy = Policy(max_body=1 << 20, max_messages=16)
    with contextlib.closing(source), asyncio.Runner() as runner:
        yield Endpoint(create_app(service, policy), runner)
        runner.run(service.aclose())

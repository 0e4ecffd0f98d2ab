"""The route of chat completions: errors before a request is submitted, and their order."""

import json
from typing import Any

import pytest

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.limits.rates import RateLimiter, TokenBucket
from tests.http.clock import Clock, ShiftedLoop, run_shifted, until
from tests.http.scripted import (
    COMPLETIONS,
    VALID,
    Call,
    ScriptedService,
    called,
    check_error,
    completions,
    run,
    scripted_app,
    steps,
)

BODY = json.dumps(VALID).encode()


def posted(service: ScriptedService, *, stream: bool = False, **policy: Any) -> Call:
    """Returns a call of an endpoint with this policy."""
    body = json.dumps({**VALID, "stream": stream}).encode()
    return Call(scripted_app(service, **policy), "POST", COMPLETIONS, body=[body])


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_error_is_returned_unchanged(stream: bool) -> None:
    async def scenario() -> None:
        service = ScriptedService()
        service.error = RequestError("no such thing", param="n", code="odd", status=404)
        async with completions(service, stream=stream) as call:
            await call.done()
        error = check_error(call, 404, "n")
        assert (error["message"], error["code"]) == ("no such thing", "odd")
        assert not service.scripted.submitted.is_set()

    run(scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_an_unexpected_exception_gets_500_without_details(stream: bool) -> None:
    async def scenario() -> None:
        service = ScriptedService()
        service.error = ValueError("a secret of the service")
        async with completions(service, stream=stream) as call:
            await call.done()
        error = check_error(call, 500)
        assert "secret" not in error["message"]
        assert error["type"] == "server_error"

    run(scenario)


def test_a_full_engine_rejects_a_request_before_the_headers() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        service.scripted.submit_error = RequestError("full", status=429, code="full", retry_after=2)
        async with completions(service, stream=True) as call:
            await call.done()
        assert call.status == 429
        assert call.header("retry-after") == "2"
        assert service.scripted.cancelled == []

    run(scenario)


def test_a_request_above_the_rate_limit_gets_429_before_its_body_is_read() -> None:
    async def scenario() -> None:
        clock = Clock()
        app = scripted_app(ScriptedService(), rates=RateLimiter(requests=1, clock=clock))
        statuses = []
        for pause in (0, 0, 59, 1):
            clock.now += pause
            async with Call(app, "POST", COMPLETIONS, body=[b"{"]) as call:
                await call.done()
            statuses.append((call.status, call.header("retry-after"), call.chunks_read))
        assert statuses == [(400, None, 1), (429, "60", 0), (429, "1", 0), (400, None, 1)]

    run(scenario)


def test_generated_tokens_count_towards_the_rate_limit() -> None:
    async def scenario() -> None:
        clock = Clock()
        service = ScriptedService()
        rates = RateLimiter(tokens=6, clock=clock)
        async with posted(service, stream=True, rates=rates) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(steps("a", "b"))
            service.scripted.deliver(steps("c", finish=True))
            await call.done()
        assert rates._bucket(None, "tokens") == TokenBucket(6, 2, clock.now)

    run(scenario)


def test_a_prompt_above_the_rate_limit_gets_429_and_is_not_submitted() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        rates = RateLimiter(tokens=1, clock=Clock())
        rates.take_prompt(None, 1)
        async with posted(service, rates=rates) as call:
            await call.done()
        assert check_error(call, 429)["code"] == "rate_limited"
        assert call.header("retry-after") == "60"
        assert len(service.prepared) == 1
        assert not service.scripted.submitted.is_set()

    run(scenario)


def test_a_request_with_an_invalid_timeout_is_not_counted() -> None:
    service = ScriptedService()
    app = scripted_app(service, rates=RateLimiter(requests=1, clock=Clock()))
    for _ in range(3):
        call = called(app, "POST", COMPLETIONS, ("x-request-timeout", "never"), body=[BODY])
        check_error(call, 400, "x-request-timeout")
        assert call.chunks_read == 0
    assert called(app, "POST", COMPLETIONS, body=[b"{"]).status == 400


class Endless(Call):
    """A client whose body never arrives."""

    async def _receive(self) -> dict[str, Any]:
        self.chunks_read += 1
        await self._disconnected.wait()
        raise AssertionError("the client does not disconnect")


def test_a_body_that_does_not_arrive_before_the_deadline_gets_504() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        service = ScriptedService()
        app = scripted_app(service, receive_seconds=600, answer_seconds=60)
        chunked = [("transfer-encoding", "chunked")]
        async with Endless(app, "POST", COMPLETIONS, headers=chunked) as call:
            await until(lambda: call.chunks_read)
            loop.shift += 61
            await call.done()
        assert check_error(call, 504)["code"] == "timeout"
        assert call.header("connection") == "close"
        assert service.prepared == []

    run_shifted(scenario)

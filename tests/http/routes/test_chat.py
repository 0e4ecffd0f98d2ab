"""The route of chat completions: what is refused on the way to the engine, and in which order."""

import json
from typing import Any

import pytest

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.limits.rates import Bucket, Rates
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


def posted(service: ScriptedService, *, stream: bool = False, **granted: Any) -> Call:
    """A call to an endpoint with this policy."""
    body = json.dumps({**VALID, "stream": stream}).encode()
    return Call(scripted_app(service, **granted), "POST", COMPLETIONS, body=[body])


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_answered_in_its_own_words(stream: bool) -> None:
    async def scenario() -> None:
        service = ScriptedService()
        service.fault = RequestError("no such thing", param="n", code="odd", status=404)
        async with completions(service, stream=stream) as call:
            await call.done()
        error = check_error(call, 404, "n")
        assert (error["message"], error["code"]) == ("no such thing", "odd")
        assert not service.scripted.submitted.is_set()

    run(scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_what_nobody_foresaw_is_an_error_500_that_tells_no_secret(stream: bool) -> None:
    async def scenario() -> None:
        service = ScriptedService()
        service.fault = ValueError("a secret of the service")
        async with completions(service, stream=stream) as call:
            await call.done()
        error = check_error(call, 500)
        assert "secret" not in error["message"]
        assert error["type"] == "server_error"

    run(scenario)


def test_an_engine_that_takes_no_more_refuses_before_the_headers() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        service.scripted.refusal = RequestError("full", status=429, code="full", retry_after=2)
        async with completions(service, stream=True) as call:
            await call.done()
        assert call.status == 429
        assert call.header("retry-after") == "2"
        assert service.scripted.cancelled == []

    run(scenario)


def test_a_request_too_many_is_429_before_its_body_is_read() -> None:
    async def scenario() -> None:
        clock = Clock()
        app = scripted_app(ScriptedService(), rates=Rates(requests=1, clock=clock))
        statuses = []
        for pause in (0, 0, 59, 1):
            clock.now += pause
            async with Call(app, "POST", COMPLETIONS, body=[b"{"]) as call:
                await call.done()
            statuses.append((call.status, call.header("retry-after"), call.pieces_read))
        assert statuses == [(400, None, 1), (429, "60", 0), (429, "1", 0), (400, None, 1)]

    run(scenario)


def test_the_tokens_of_an_answer_are_counted_as_they_come() -> None:
    async def scenario() -> None:
        clock = Clock()
        service = ScriptedService()
        rates = Rates(tokens=6, clock=clock)
        async with posted(service, stream=True, rates=rates) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(steps("a", "b"))
            service.scripted.deliver(steps("c", finish=True))
            await call.done()
        assert rates._bucket(None, "tokens") == Bucket(6, 2, clock.now)

    run(scenario)


def test_a_prompt_too_many_is_429_and_does_not_reach_the_engine() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        rates = Rates(tokens=1, clock=Clock())
        rates.take_prompt(None, 1)
        async with posted(service, rates=rates) as call:
            await call.done()
        assert check_error(call, 429)["code"] == "rate_limited"
        assert call.header("retry-after") == "60"
        assert len(service.accepted) == 1
        assert not service.scripted.submitted.is_set()

    run(scenario)


def test_a_request_that_names_no_time_is_not_counted() -> None:
    service = ScriptedService()
    app = scripted_app(service, rates=Rates(requests=1, clock=Clock()))
    for _ in range(3):
        call = called(app, "POST", COMPLETIONS, ("x-request-timeout", "never"), body=[BODY])
        check_error(call, 400, "x-request-timeout")
        assert call.pieces_read == 0
    assert called(app, "POST", COMPLETIONS, body=[b"{"]).status == 400


class Endless(Call):
    """A client whose body goes on for ever, with nothing in it."""

    async def _receive(self) -> dict[str, Any]:
        self.pieces_read += 1
        await self._gone.wait()
        raise AssertionError("nobody leaves")


def test_a_body_that_is_not_there_before_the_deadline_is_504() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        service = ScriptedService()
        app = scripted_app(service, receive_seconds=600, answer_seconds=60)
        chunked = [("transfer-encoding", "chunked")]
        async with Endless(app, "POST", COMPLETIONS, headers=chunked) as call:
            await until(lambda: call.pieces_read)
            loop.shift += 61
            await call.done()
        assert check_error(call, 504)["code"] == "timeout"
        assert call.header("connection") == "close"
        assert service.accepted == []

    run_shifted(scenario)

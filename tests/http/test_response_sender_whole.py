"""Whole responses: completions, errors and cancellation."""

import asyncio

import pytest

from friendli_endpoint.engine.core.engine import MAX_BUFFERED
from friendli_endpoint.generation import EngineError
from tests.http.scripted import ScriptedService, check_error, completions, run, steps


def test_a_completion_is_sent_when_all_choices_have_finished() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(steps("a", "b"))
            await asyncio.to_thread(service.scripted.deliver, steps("c", finish=True))
            await call.done()
        assert call.status == 200
        assert call.header("content-type") == "application/json"
        assert call.json["choices"][0]["message"]["content"] == "abc"
        assert service.scripted.cancelled == []

    run(scenario)


def test_an_engine_error_gets_500() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(steps("a"))
            service.scripted.deliver(EngineError("the engine has burst"))
            await call.done()
        error = check_error(call, 500)
        assert error["message"] == "the engine has burst"
        assert error["type"] == "server_error"
        assert service.scripted.cancelled == []

    run(scenario)


def test_a_long_completion_is_complete() -> None:
    """Many steps are read at a time."""

    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service) as call:
            await service.scripted.submitted.wait()
            for number in range(100):
                service.scripted.deliver(steps(f"{number} "))
            service.scripted.deliver(steps("end", finish=True))
            await call.done()
        content = call.json["choices"][0]["message"]["content"]
        assert content == " ".join(map(str, range(100))) + " end"

    run(scenario)


def test_an_exception_while_reading_gets_500_and_cancels_the_request() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service) as call:
            await service.scripted.submitted.wait()
            for text in ("BROKEN", *"x" * MAX_BUFFERED):  # the choice has not finished
                service.scripted.deliver(steps(text))
            await call.done()
        assert "secret" not in check_error(call, 500)["message"]
        assert service.scripted.cancelled == ["chatcmpl-1"]

    run(scenario)


@pytest.mark.parametrize("before", [(), ("a", "b")], ids=["at once", "in the middle"])
def test_a_client_that_disconnects_cancels_once(before: tuple[str, ...]) -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(steps(*before))
            call.disconnect()
            await call.done()
        assert service.scripted.cancelled == ["chatcmpl-1"]

    run(scenario)


def test_a_cancelled_call_cancels_the_request_once() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service):
            await service.scripted.submitted.wait()
        assert service.scripted.cancelled == ["chatcmpl-1"]

    run(scenario)

"""Whole answers: given, failed, or given up."""

import asyncio

import pytest

from friendli_endpoint.engine.core.engine import MAX_HELD
from friendli_endpoint.generation import EngineError
from tests.http.scripted import ScriptedService, check_error, completions, run, steps


def test_an_answer_is_sent_when_all_of_it_is_there() -> None:
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


def test_a_failure_is_an_error_500() -> None:
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


def test_a_long_answer_is_whole() -> None:
    """Its steps are read many at a time."""

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


def test_a_fault_while_reading_is_an_error_500_and_frees_the_engine() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service) as call:
            await service.scripted.submitted.wait()
            for text in ("BROKEN", *"x" * MAX_HELD):  # the choice goes on
                service.scripted.deliver(steps(text))
            await call.done()
        assert "secret" not in check_error(call, 500)["message"]
        assert service.scripted.cancelled == ["chatcmpl-1"]

    run(scenario)


@pytest.mark.parametrize("before", [(), ("a", "b")], ids=["at once", "in the middle"])
def test_a_client_that_leaves_cancels_once(before: tuple[str, ...]) -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(steps(*before))
            call.leave()
            await call.done()
        assert service.scripted.cancelled == ["chatcmpl-1"]

    run(scenario)


def test_a_call_that_is_cancelled_from_outside_cancels_once() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service):
            await service.scripted.submitted.wait()
        assert service.scripted.cancelled == ["chatcmpl-1"]

    run(scenario)

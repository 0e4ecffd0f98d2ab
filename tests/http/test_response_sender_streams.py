"""Streamed responses: events while tokens are generated, errors and cancellation."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.generation import EngineError
from friendli_endpoint.http import response_sender
from tests.http.scripted import Call, ScriptedService, completions, run, steps


def contents(call: Call) -> list[Any]:
    """Returns the texts of the chunks, and all other events unchanged."""
    return [
        event["choices"][0]["delta"]["content"] if "choices" in event else event
        for event in call.events
    ]


def test_a_stream_starts_at_once_and_ends_with_done() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service, stream=True) as call:
            await call.until(lambda call: call.body != b"")
            assert call.status == 200
            assert (call.header("content-type") or "").startswith("text/event-stream")
            assert call.header("cache-control") == "no-cache, no-store, no-transform"
            assert call.header("x-request-id")
            assert call.events[0]["choices"][0]["delta"]["role"] == "assistant"
            service.scripted.deliver(steps("a", "b"))
            await call.until(lambda call: b'"b"' in call.body)
            assert not call.ended
            service.scripted.deliver(steps("c", finish=True))
            answered = await call.done()
        assert contents(answered) == ["", "a", "b", "c", "[DONE]"]
        assert answered.ended
        assert service.scripted.cancelled == []

    run(scenario)


@given(st.sets(st.integers(1, 8)))
def test_the_batching_of_steps_does_not_change_the_events(cuts: set[int]) -> None:
    all_steps = steps(*"abcdefgh", finish=True)

    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service, stream=True) as call:
            await service.scripted.submitted.wait()
            for start, stop in pairwise(sorted({0, 8, *cuts})):
                service.scripted.deliver(all_steps[start:stop])
            await call.done()
        assert contents(call) == ["", *"abcdefgh", "[DONE]"]

    run(scenario)


def test_steps_can_be_delivered_from_another_thread() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service, stream=True) as call:
            await service.scripted.submitted.wait()
            await asyncio.to_thread(service.scripted.deliver, steps("a", finish=True))
            await call.done()
        assert contents(call) == ["", "a", "[DONE]"]

    run(scenario)


def test_comments_keep_a_silent_stream_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_sender, "KEEP_ALIVE_SECONDS", 0.01)

    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service, stream=True) as call:
            await call.until(lambda call: call.body.count(b": \n\n") >= 2)
            service.scripted.deliver(steps("a"))
            await call.until(lambda call: call.body.endswith(b": \n\n") and b'"a"' in call.body)
            service.scripted.deliver(steps("b", finish=True))
            await call.done()
        comments = [line for line in call.body.split(b"\n\n") if line.startswith(b":")]
        assert set(comments) == {b": "}
        texts = [text for text in contents(call) if text]
        assert texts == ["a", "b", "[DONE]"]

    run(scenario)


@pytest.mark.parametrize("before", [(), ("a", "b")], ids=["at once", "in the middle"])
def test_an_engine_error_ends_a_stream_with_an_error(before: tuple[str, ...]) -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service, stream=True) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(steps(*before))
            service.scripted.deliver(EngineError("the engine has burst"))
            await call.done()
        *chunks, last = contents(call)
        assert chunks == ["", *before]
        assert last["error"]["message"] == "the engine has burst"
        assert set(last["error"]) == {"message", "type", "param", "code"}
        assert call.ended
        assert service.scripted.cancelled == [], "the engine had already ended it"

    run(scenario)


def test_an_exception_while_reading_ends_a_stream_with_an_error() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service, stream=True) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(steps("a"))
            service.scripted.deliver(steps("BROKEN"))
            await call.done()
        *chunks, last = contents(call)
        assert chunks == ["", "a"]
        assert last["error"]["type"] == "server_error"
        assert "secret" not in last["error"]["message"]
        assert service.scripted.cancelled == ["chatcmpl-1"]

    run(scenario)


@pytest.mark.parametrize("before", [(), ("a", "b")], ids=["at once", "in the middle"])
def test_a_client_that_disconnects_cancels_once(before: tuple[str, ...]) -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service, stream=True) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(steps(*before))
            await call.until(lambda call: call.body.count(b"\n\n") > len(before))
            call.disconnect()
            await call.done()
        assert service.scripted.cancelled == ["chatcmpl-1"]
        assert contents(call) == ["", *before]

    run(scenario)


def test_a_client_that_disconnects_after_the_end_cancels_nothing() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service, stream=True) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(steps("a", finish=True))
            call.disconnect()
            await call.until(lambda call: call.ended)
            await call.done()
        assert service.scripted.cancelled == []

    run(scenario)


@pytest.mark.parametrize("message", ["http.response.start", "http.response.body"])
def test_a_failed_send_cancels_once(message: str) -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service, stream=True, fails_at=message) as call:
            await asyncio.wait({call.task})
        assert service.scripted.cancelled == ["chatcmpl-1"]

    run(scenario)


def test_a_cancelled_stream_cancels_the_request_once() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service, stream=True) as call:
            await call.until(lambda call: call.body != b"")
        assert service.scripted.cancelled == ["chatcmpl-1"]

    run(scenario)


def test_a_delivery_after_the_event_loop_is_closed_is_dropped() -> None:
    service = ScriptedService()

    async def scenario() -> None:
        async with completions(service, stream=True):
            await service.scripted.submitted.wait()

    run(scenario)
    service.scripted.deliver(steps("a"))
    assert service.scripted.cancelled == ["chatcmpl-1"]


def test_a_closing_engine_ends_a_stream_with_an_event_that_says_so() -> None:
    async def scenario() -> None:
        service = ScriptedService()
        async with completions(service, stream=True) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(steps("a"))
            service.scripted.deliver(EngineError("closing", is_closing=True))
            await call.done()
        *chunks, last = contents(call)
        assert chunks == ["", "a"]
        assert last["error"]["code"] == "draining"
        assert last["error"]["type"] == "overloaded_error"
        assert "shutting down" in last["error"]["message"]
        assert call.ended

    run(scenario)

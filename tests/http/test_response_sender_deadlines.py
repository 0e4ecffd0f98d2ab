"""Responses that pass their deadline, streamed or whole."""

import json
from typing import Any

import pytest

from tests.http.clock import ShiftedLoop, run_shifted, until
from tests.http.scripted import (
    COMPLETIONS,
    VALID,
    Call,
    ScriptedService,
    check_error,
    scripted_app,
    steps,
)


def posted(service: ScriptedService, *headers: tuple[str, str], **given: Any) -> Call:
    """Returns a call of the chat completions with these headers and this policy."""
    body = json.dumps({**VALID, "stream": given.pop("stream", False)}).encode()
    app = scripted_app(service, **given)
    return Call(app, "POST", COMPLETIONS, headers=headers, body=[body])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("before", [(), ("a", "b")])
@pytest.mark.parametrize(
    ("timeout", "headers"),
    [(60, ()), (None, (("x-request-timeout", "60"),)), (600, (("x-request-timeout", "60"),))],
    ids=["the operator's", "the client's", "the lower one"],
)
def test_a_response_is_cancelled_at_the_deadline(
    stream: bool,
    before: tuple[str, ...],
    timeout: float | None,
    headers: tuple[tuple[str, str], ...],
) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        service = ScriptedService()
        async with posted(service, *headers, stream=stream, answer_seconds=timeout) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(steps(*before))
            await until(lambda: call.body.count(b"data: ") > len(before) or not stream)
            assert not service.scripted.cancelled
            loop.shift += 61
            await call.done()
        assert service.scripted.cancelled == ["chatcmpl-1"]
        if stream:
            error = call.events[-1]["error"]
            assert (error["type"], error["code"]) == ("timeout_error", "timeout")
        else:
            assert check_error(call, 504)["code"] == "timeout"

    run_shifted(scenario)


def test_a_busy_stream_is_cancelled_at_the_deadline() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        service = ScriptedService()
        async with posted(service, stream=True, answer_seconds=60) as call:
            await service.scripted.submitted.wait()
            loop.shift += 61
            await until(lambda: call.ended, lambda: service.scripted.deliver(steps("a")))
            await call.done()
        assert call.events[-1]["error"]["code"] == "timeout"
        assert service.scripted.cancelled == ["chatcmpl-1"]

    run_shifted(scenario)

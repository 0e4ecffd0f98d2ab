"""Bounds in time and number: slow bodies, deadlines, and what each token may use in a minute."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.generation import Refusal
from friendli_endpoint.http.limits.deadline import deadline_of
from friendli_endpoint.http.limits.rates import Bucket, Rates
from tests.http.clock import ShiftedLoop, run_shifted, until
from tests.http.scripted import (
    COMPLETIONS,
    VALID,
    Call,
    ScriptedService,
    check_error,
    run,
    scripted_app,
    steps,
)

SHORT = 0.01
BODY = json.dumps(VALID).encode()


def posted(service: ScriptedService, *headers: tuple[str, str], **given: Any) -> Call:
    """A call of the chat completions with these headers, to an endpoint with this policy."""
    body = json.dumps({**VALID, "stream": given.pop("stream", False)}).encode()
    app = scripted_app(service, **given)
    return Call(app, "POST", COMPLETIONS, headers=headers, body=[body])


# ── slow bodies ──────────────────────────────────────────────────────────────────────────────


class Dripping(Call):
    """A client that sends some pieces, and then nothing."""

    async def _receive(self) -> dict[str, Any]:
        if self.pieces_read == len(self._pieces):
            await self._gone.wait()
        return {**await super()._receive(), "more_body": True}


@pytest.mark.parametrize("pieces", [[], [b"{"], [BODY]], ids=["none", "some", "all but the end"])
def test_a_body_that_does_not_come_is_408(pieces: list[bytes]) -> None:
    async def scenario() -> None:
        service = ScriptedService()
        app = scripted_app(service, receive_seconds=SHORT)
        async with Dripping(app, "POST", COMPLETIONS, body=pieces) as call:
            await call.done()
        assert check_error(call, 408)["code"] == "body_too_slow"
        assert call.header("connection") == "close"
        assert service.accepted == []

    run(scenario)


def test_an_answer_may_take_longer_than_a_body() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        service = ScriptedService()
        async with posted(service, receive_seconds=60, stream=True) as call:
            await service.scripted.submitted.wait()
            loop.shift += 61
            service.scripted.deliver(steps("a", finish=True))
            await call.done()
        assert call.status == 200
        assert call.events[-1] == "[DONE]"

    run_shifted(scenario)


@pytest.mark.parametrize("path", ["/nowhere", "/health"])
@pytest.mark.parametrize(
    ("headers", "closes"),
    [
        ((), False),
        ((("content-length", "1000"),), False),
        ((("content-length", "1000000"),), True),
        ((("content-length", "x"),), True),
        ((("transfer-encoding", "chunked"),), True),
    ],
)
def test_a_body_that_nobody_wants_is_not_read(
    path: str, headers: tuple[tuple[str, str], ...], closes: bool
) -> None:
    async def scenario() -> None:
        app = scripted_app(ScriptedService())
        async with Call(app, "POST", path, headers=headers, body=[b" "] * 9) as call:
            await call.done()
        check_error(call, 405 if path == "/health" else 404)
        assert call.pieces_read == 0
        assert call.header("connection") == ("close" if closes else None)

    run(scenario)


# ── deadlines ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("before", [(), ("a", "b")])
@pytest.mark.parametrize(
    ("most", "headers"),
    [(60, ()), (None, (("x-request-timeout", "60"),)), (600, (("x-request-timeout", "60"),))],
    ids=["the operator's", "the client's", "the lower one"],
)
def test_an_answer_that_comes_too_late_is_given_up(
    stream: bool, before: tuple[str, ...], most: float | None, headers: tuple[tuple[str, str], ...]
) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        service = ScriptedService()
        async with posted(service, *headers, stream=stream, answer_seconds=most) as call:
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


def test_a_stream_that_never_rests_is_given_up_too() -> None:
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


def test_a_client_may_not_ask_for_more_than_is_granted() -> None:
    assert deadline_of("600", 30, 1000) == 1030
    assert deadline_of("2.5", 30, 1000) == 1002.5
    assert deadline_of("2.5", None, 1000) == 1002.5
    assert deadline_of(None, 30, 1000) == 1030
    assert deadline_of(None, None, 1000) is None


@pytest.mark.parametrize(
    "asked", ["", "0", "0.0", "-1", "nan", "inf", "1e3", "1_0", "٣", "ten", " 1", "9" * 400, "1."]
)
def test_what_is_no_time_is_refused(asked: str) -> None:
    with pytest.raises(Refusal) as caught:
        deadline_of(asked, None, 0)
    assert (caught.value.status, caught.value.param) == (400, "x-request-timeout")


# ── rates ────────────────────────────────────────────────────────────────────────────────────


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


AMOUNTS = st.lists(st.tuples(st.integers(0, 40), st.floats(0, 100)), max_size=20)


@given(st.integers(1, 30), AMOUNTS, st.integers(1, 60))
def test_what_a_bucket_says_of_its_wait_is_true(
    per_minute: int, earlier: list[tuple[int, float]], wanted: int
) -> None:
    now = 0.0
    bucket = Bucket(per_minute, per_minute, now)
    for amount, pause in earlier:
        bucket.take(amount, now)
        now += pause
    seconds = bucket.wait(wanted, now)
    if seconds > 0.01:
        assert bucket.wait(wanted, now + 0.99 * seconds) > 0
    assert bucket.wait(wanted, now + 1.01 * seconds + 1e-6) == 0


@given(st.integers(1, 30), AMOUNTS)
def test_a_bucket_grants_no_more_than_its_rate(
    per_minute: int, asked: list[tuple[int, float]]
) -> None:
    now, taken = 0.0, 0
    bucket = Bucket(per_minute, per_minute, now)
    for amount, pause in asked:
        if amount <= per_minute and bucket.wait(amount, now) == 0:
            bucket.take(amount, now)
            taken += amount
        now += pause
        assert taken <= per_minute + now * per_minute / 60 + 1e-6


def test_requests_are_counted_by_token_and_refused_with_a_true_time() -> None:
    clock = Clock()
    rates = Rates(requests=6, clock=clock)
    for _ in range(6):
        rates.take_request(b"a")
    with pytest.raises(Refusal, match="6 requests a minute") as caught:
        rates.take_request(b"a")
    assert (caught.value.status, caught.value.retry_after) == (429, 10)
    rates.take_request(b"b")
    rates.take_request(None)
    clock.now += 10
    rates.take_request(b"a")
    with pytest.raises(Refusal):
        rates.take_request(b"a")


def test_generated_tokens_are_owed() -> None:
    clock = Clock()
    rates = Rates(tokens=60, clock=clock)
    rates.take_prompt(b"a", 50)
    rates.add_tokens(b"a", 40)
    with pytest.raises(Refusal) as caught:
        rates.take_prompt(b"a", 1)
    assert caught.value.retry_after == 31
    clock.now += 31
    rates.take_prompt(b"a", 1)


def test_a_prompt_that_no_minute_holds_passes_when_nothing_is_owed() -> None:
    clock = Clock()
    rates = Rates(tokens=60, clock=clock)
    rates.take_prompt(None, 600)
    with pytest.raises(Refusal) as caught:
        rates.take_prompt(None, 600)
    assert caught.value.retry_after == 600
    clock.now += 600
    rates.take_prompt(None, 600)


def test_an_endpoint_without_rates_counts_nothing() -> None:
    rates = Rates()
    for _ in range(1000):
        rates.take_request(None)
        rates.take_prompt(None, 10**9)
        rates.add_tokens(None, 10**9)


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
        async with posted(service, rates=rates, stream=True) as call:
            await service.scripted.submitted.wait()
            service.scripted.deliver(steps("a", "b"))
            service.scripted.deliver(steps("c", finish=True))
            await call.done()
        assert rates._bucket(None, "tokens") == Bucket(6, 2, clock.now)

    run(scenario)

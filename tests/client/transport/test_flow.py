"""The exchange, driven by hand, without network and clock."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

import friendli
from friendli._streaming.sse import MAX_EVENT
from friendli._transport.call import Call, CallOptions, prepare
from friendli._transport.clock import CallClock
from friendli._transport.flow import MAX_ERROR_BODY, Close, Read, Send, Sleep, exchange
from friendli._transport.network import MAX_REDIRECTS
from friendli._transport.options import MAX_RESPONSE, Options

URL = "http://127.0.0.1:9/"


def call(stream: bool = False, **options: Any) -> Call:
    return prepare(Options(max_event=MAX_EVENT), CallOptions(**options), b"{}", "m", stream)


def response(
    status: int, kind: str = "application/json", *, body: str = "{}", **headers: str
) -> httpx2.Response:
    return httpx2.Response(status, headers={"content-type": kind, **headers}, content=body.encode())


def redirection() -> httpx2.Response:
    redirect = response(307)
    redirect.next_request = httpx2.Request("POST", URL)
    return redirect


def test_success_returns_the_response_after_its_body_is_read() -> None:
    flow = exchange(call())
    assert isinstance(next(flow), Send)
    good = response(200)
    assert flow.send(good) == Read(good, MAX_RESPONSE)
    with pytest.raises(StopIteration) as end:
        flow.send(True)
    assert end.value.value is good


def test_body_of_a_stream_is_left_unread() -> None:
    flow = exchange(call(stream=True))
    next(flow)
    good = response(200, "text/event-stream")
    with pytest.raises(StopIteration) as end:
        flow.send(good)
    assert end.value.value is good


def test_answer_that_was_cut_raises_response_too_large_error() -> None:
    flow = exchange(call(max_response_bytes=3))
    next(flow)
    good = response(200, body='{"a')
    assert flow.send(good) == Read(good, 3)
    with pytest.raises(friendli.ResponseTooLargeError, match="`max_response_bytes` of 3 bytes"):
        flow.send(False)


def test_retried_response_is_closed_before_the_sleep() -> None:
    flow = exchange(call(stream=True))
    next(flow)
    bad = response(429, **{"retry-after": "7"})
    assert flow.send(bad) == Close(bad)
    assert flow.send(None) == Sleep(7.0)
    assert isinstance(flow.send(None), Send)
    with pytest.raises(StopIteration):
        flow.send(response(200, "text/event-stream"))


def test_body_of_the_final_error_is_read() -> None:
    flow = exchange(call(retries=None))
    next(flow)
    bad = response(500, body="oh no")
    assert flow.send(bad) == Read(bad, MAX_ERROR_BODY)
    with pytest.raises(friendli.ServerError, match=r"Status 500\. Body: oh no"):
        flow.send(True)


@pytest.mark.parametrize("stream", [False, True])
def test_error_body_that_was_cut_is_shown_with_its_bound(stream: bool) -> None:
    flow = exchange(call(stream, retries=None))
    next(flow)
    assert isinstance(flow.send(response(429, body="oh no")), Read)
    with pytest.raises(friendli.RateLimitError, match="was cut at 1,048,576 bytes") as caught:
        flow.send(False)
    assert caught.value.body == "oh no"


def test_redirections_are_followed_after_a_bounded_read() -> None:
    flow = exchange(call())
    next(flow)
    redirect, good = redirection(), response(200)
    assert flow.send(redirect) == Read(redirect, MAX_ERROR_BODY)
    step = flow.send(True)
    assert isinstance(step, Send) and step.request is redirect.next_request
    assert flow.send(good) == Read(good, MAX_RESPONSE)
    with pytest.raises(StopIteration):
        flow.send(True)
    assert good.history == [redirect]


def test_endless_redirections_raise_an_error() -> None:
    flow = exchange(call())
    next(flow)
    with pytest.raises(httpx2.TooManyRedirects, match="more than 20") as caught:
        for _ in range(MAX_REDIRECTS + 2):
            flow.send(redirection())
            flow.send(True)
    assert isinstance(caught.value, friendli.NetworkError)


class TestDeadline:
    def test_no_retry_begins_after_the_deadline(self) -> None:
        timed = call(stream=True)
        now = [0.0]
        timed.clock = CallClock(10.0, None, clock=lambda: now[0])
        flow = exchange(timed)
        next(flow)
        now[0] = 2.0
        flow.send(response(429, **{"retry-after": "7"}))
        assert flow.send(None) == Sleep(7.0)
        now[0] = 9.0
        next(flow)
        assert isinstance(flow.send(response(429, **{"retry-after": "1"})), Read)
        with pytest.raises(friendli.RateLimitError):
            flow.send(True)

    def test_error_after_the_deadline_is_a_deadline_exceeded_error(self) -> None:
        timed = call()
        now = [0.0]
        timed.clock = CallClock(10.0, None, clock=lambda: now[0])
        flow = exchange(timed)
        next(flow)
        now[0] = 10.0
        with pytest.raises(friendli.DeadlineExceededError, match="deadline of 10 s"):
            flow.throw(httpx2.ReadError("cut"))

    def test_each_attempt_sends_the_remaining_time(self) -> None:
        timed = call(stream=True, deadline=10.0)
        now = [0.0]
        timed.clock = CallClock(10.0, None, clock=lambda: now[0])
        flow = exchange(timed)
        next(flow)
        assert timed.headers["x-request-timeout"] == "10.001"
        flow.send(response(503, **{"retry-after": "4"}))
        flow.send(None)
        now[0] = 4.5
        next(flow)
        assert timed.headers["x-request-timeout"] == "5.501"
        redirect = redirection()
        flow.send(redirect)
        now[0] = 5.5
        step = flow.send(True)
        assert isinstance(step, Send)
        assert step.request.headers["x-request-timeout"] == "4.501"


def test_network_error_while_an_error_body_is_read() -> None:
    flow = exchange(call(retries=None))
    next(flow)
    flow.send(response(500))
    with pytest.raises(friendli.NetworkError):
        flow.throw(httpx2.ReadError("cut"))


def test_other_exceptions_propagate() -> None:
    flow = exchange(call())
    next(flow)
    with pytest.raises(KeyError):
        flow.throw(KeyError("x"))

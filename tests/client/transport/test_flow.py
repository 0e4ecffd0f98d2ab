"""The exchange, driven by hand, without network and clock."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

import friendli
from friendli._streaming.sse import MAX_EVENT
from friendli._transport.call import Call, CallOptions, prepare
from friendli._transport.flow import Close, Read, Send, Sleep, exchange
from friendli._transport.options import Options


def call(stream: bool = False, **options: Any) -> Call:
    return prepare(Options(max_event=MAX_EVENT), CallOptions(**options), b"{}", "m", stream)


def response(status: int, kind: str = "application/json", **headers: str) -> httpx2.Response:
    return httpx2.Response(status, headers={"content-type": kind, **headers}, content=b"{}")


def test_success_returns_the_response() -> None:
    flow = exchange(call())
    assert isinstance(next(flow), Send)
    good = response(200)
    with pytest.raises(StopIteration) as end:
        flow.send(good)
    assert end.value.value is good


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
    bad = response(500)
    assert flow.send(bad) == Read(bad)
    with pytest.raises(friendli.ServerError, match=r"Status 500\. Body: oh no"):
        flow.send("oh no")


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

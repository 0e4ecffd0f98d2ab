"""How bodies come in: too slowly, unwanted, too large, or in pieces."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import Message

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.limits.body_memory import BodyMemory
from friendli_endpoint.http.middleware.body_timeout import MOST_IGNORED, BodyTimeoutMiddleware
from tests.http.clock import ShiftedLoop, run_shifted
from tests.http.scripted import (
    COMPLETIONS,
    VALID,
    Call,
    ScriptedService,
    called,
    check_error,
    run,
    scripted_app,
    steps,
)

# ── slow bodies ──────────────────────────────────────────────────────────────────────────────

SHORT = 0.01


BODY = json.dumps(VALID).encode()


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
        app = scripted_app(service, receive_seconds=60)
        body = json.dumps({**VALID, "stream": True}).encode()
        async with Call(app, "POST", COMPLETIONS, body=[body]) as call:
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
        ((("content-length", str(MOST_IGNORED)),), False),
        ((("content-length", str(MOST_IGNORED + 1)),), True),
        ((("content-length", "9" * 5_000),), True),
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


# ── how much is read ─────────────────────────────────────────────────────────────────────────


def posted(service: ScriptedService, pieces: list[bytes], *headers: tuple[str, str]) -> Call:
    """A call with this body to an endpoint that takes 1,000 bytes."""
    return called(scripted_app(service, max_body=1_000), "POST", COMPLETIONS, *headers, body=pieces)


@pytest.mark.parametrize(
    ("headers", "read"),
    [
        ((), 3),
        ((("content-length", "100001"),), 0),
        ((("content-length", "9" * 5_000),), 0),
        ((("content-length", "10"),), 3),
        ((("transfer-encoding", "chunked"),), 3),
    ],
    ids=["no length", "its length", "an absurd length", "a length that is not true", "in chunks"],
)
def test_a_body_too_large_is_413_and_not_read_on(
    headers: tuple[tuple[str, str], ...], read: int
) -> None:
    service = ScriptedService()
    call = posted(service, [b" " * 400] * 25, *headers)
    assert check_error(call, 413)["code"] == "body_too_large"
    assert call.pieces_read == read
    assert call.header("connection") == "close"
    assert service.accepted == []


def test_a_body_of_just_the_size_is_taken() -> None:
    service = ScriptedService()
    service.fault = RequestError("taken", status=404)
    padded = json.dumps(VALID).encode().ljust(1_000)
    assert posted(service, [padded[:300], padded[300:]]).status == 404
    check_error(posted(service, [padded[:300], padded[300:], b" "]), 413)


@pytest.mark.parametrize("pieces", [[b""], [b"", b""]])
def test_no_body_is_400(pieces: list[bytes]) -> None:
    call = posted(ScriptedService(), pieces)
    error = check_error(call, 400)
    assert "no body" in error["message"]


@pytest.mark.parametrize("cut", [lambda body: [body], lambda body: [bytes([b]) for b in body]])
def test_however_a_body_comes_it_is_the_same(cut: Callable[[bytes], list[bytes]]) -> None:
    service = ScriptedService()
    service.scripted.refusal = RequestError("enough", status=404)
    assert posted(service, cut(json.dumps(VALID).encode())).status == 404
    assert [body.messages[0].content for body in service.accepted] == ["Hello!"]


@pytest.mark.parametrize("pieces", [[b"{"], [b"{", b"x", b""]])
def test_after_a_body_that_was_read_the_connection_stays_open(pieces: list[bytes]) -> None:
    call = posted(ScriptedService(), pieces, ("transfer-encoding", "chunked"))
    check_error(call, 400)
    assert call.header("connection") is None


def test_what_is_no_request_is_passed_on_as_it_is() -> None:
    passed: list[Any] = []

    async def app(*given: Any) -> None:
        passed.extend(given)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def send(_message: Message) -> None:
        raise AssertionError("nothing is sent")

    async def scenario() -> None:
        scope = {"type": "lifespan"}
        await BodyTimeoutMiddleware(app, 1.0, BodyMemory())(scope, receive, send)
        assert passed == [{"type": "lifespan"}, receive, send]

    run(scenario)

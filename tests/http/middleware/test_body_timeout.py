"""Receiving bodies: slow, unneeded, too large, or in several chunks."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import Message

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.limits.body_memory import BodyMemoryBudget
from friendli_endpoint.http.middleware.body_timeout import MAX_IGNORED_BYTES, BodyTimeoutMiddleware
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
    """A client that sends some chunks, and then nothing."""

    async def _receive(self) -> dict[str, Any]:
        if self.chunks_read == len(self._chunks):
            await self._disconnected.wait()
        return {**await super()._receive(), "more_body": True}


@pytest.mark.parametrize("chunks", [[], [b"{"], [BODY]], ids=["none", "some", "all but the end"])
def test_a_body_that_does_not_arrive_in_time_gets_408(chunks: list[bytes]) -> None:
    async def scenario() -> None:
        service = ScriptedService()
        app = scripted_app(service, receive_seconds=SHORT)
        async with Dripping(app, "POST", COMPLETIONS, body=chunks) as call:
            await call.done()
        assert check_error(call, 408)["code"] == "body_too_slow"
        assert call.header("connection") == "close"
        assert service.prepared == []

    run(scenario)


def test_the_body_timeout_does_not_apply_to_the_response() -> None:
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
        ((("content-length", str(MAX_IGNORED_BYTES)),), False),
        ((("content-length", str(MAX_IGNORED_BYTES + 1)),), True),
        ((("content-length", "9" * 5_000),), True),
        ((("content-length", "x"),), True),
        ((("transfer-encoding", "chunked"),), True),
    ],
)
def test_an_unneeded_body_is_not_read(
    path: str, headers: tuple[tuple[str, str], ...], closes: bool
) -> None:
    async def scenario() -> None:
        app = scripted_app(ScriptedService())
        async with Call(app, "POST", path, headers=headers, body=[b" "] * 9) as call:
            await call.done()
        check_error(call, 405 if path == "/health" else 404)
        assert call.chunks_read == 0
        assert call.header("connection") == ("close" if closes else None)

    run(scenario)


# ── the size of bodies ───────────────────────────────────────────────────────────────────────


def posted(service: ScriptedService, chunks: list[bytes], *headers: tuple[str, str]) -> Call:
    """Returns a finished call with this body of an endpoint with a limit of 1,000 bytes."""
    return called(scripted_app(service, max_body=1_000), "POST", COMPLETIONS, *headers, body=chunks)


@pytest.mark.parametrize(
    ("headers", "read"),
    [
        ((), 3),
        ((("content-length", "100001"),), 0),
        ((("content-length", "9" * 5_000),), 0),
        ((("content-length", "10"),), 3),
        ((("transfer-encoding", "chunked"),), 3),
    ],
    ids=["no length", "true length", "huge length", "false length", "chunked"],
)
def test_a_body_that_is_too_large_gets_413_and_is_not_read_to_the_end(
    headers: tuple[tuple[str, str], ...], read: int
) -> None:
    service = ScriptedService()
    call = posted(service, [b" " * 400] * 25, *headers)
    assert check_error(call, 413)["code"] == "body_too_large"
    assert call.chunks_read == read
    assert call.header("connection") == "close"
    assert service.prepared == []


def test_a_body_of_exactly_the_maximum_size_is_read() -> None:
    service = ScriptedService()
    service.error = RequestError("read", status=404)
    padded = json.dumps(VALID).encode().ljust(1_000)
    assert posted(service, [padded[:300], padded[300:]]).status == 404
    check_error(posted(service, [padded[:300], padded[300:], b" "]), 413)


@pytest.mark.parametrize("chunks", [[b""], [b"", b""]])
def test_an_empty_body_gets_400(chunks: list[bytes]) -> None:
    call = posted(ScriptedService(), chunks)
    error = check_error(call, 400)
    assert "no body" in error["message"]


@pytest.mark.parametrize("split", [lambda body: [body], lambda body: [bytes([b]) for b in body]])
def test_a_body_in_several_chunks_is_the_same(split: Callable[[bytes], list[bytes]]) -> None:
    service = ScriptedService()
    service.scripted.submit_error = RequestError("enough", status=404)
    assert posted(service, split(json.dumps(VALID).encode())).status == 404
    assert [body.messages[0].content for body in service.prepared] == ["Hello!"]


@pytest.mark.parametrize("chunks", [[b"{"], [b"{", b"x", b""]])
def test_the_connection_stays_open_after_a_body_that_was_read(chunks: list[bytes]) -> None:
    call = posted(ScriptedService(), chunks, ("transfer-encoding", "chunked"))
    check_error(call, 400)
    assert call.header("connection") is None


def test_a_lifespan_scope_is_passed_on_unchanged() -> None:
    passed: list[Any] = []

    async def app(*given: Any) -> None:
        passed.extend(given)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def send(_message: Message) -> None:
        raise AssertionError("nothing is sent")

    async def scenario() -> None:
        scope = {"type": "lifespan"}
        await BodyTimeoutMiddleware(app, 1.0, BodyMemoryBudget())(scope, receive, send)
        assert passed == [{"type": "lifespan"}, receive, send]

    run(scenario)

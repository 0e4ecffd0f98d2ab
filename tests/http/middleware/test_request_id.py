"""Request ids: the client's own or a new one, on every answer and in the log."""

import asyncio
import re
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from friendli_endpoint.http.middleware.request_id import RequestIdMiddleware
from friendli_endpoint.telemetry import Telemetry
from tests.http.scripted import Call, ScriptedService, called, check_error, run, scripted_app


@pytest.fixture
def app() -> FastAPI:
    return scripted_app(ScriptedService())


def request_id(app: FastAPI, sent: str, path: str = "/health") -> str | None:
    return called(app, "GET", path, ("x-request-id", sent)).header("x-request-id")


@given(st.from_regex(r"[\x21-\x7e]{1,128}", fullmatch=True))
def test_a_valid_request_id_is_returned(sent: str) -> None:
    assert request_id(scripted_app(ScriptedService()), sent) == sent


@pytest.mark.parametrize("path", ["/health", "/nowhere"])
@pytest.mark.parametrize(
    "sent",
    ["", " ", "a b", "a\r\nset-cookie: b", "a\nb", "a\x00b", "é", "x" * 129, "a\n", "\x7f"],
)
def test_an_invalid_request_id_is_replaced(app: FastAPI, sent: str, path: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", request_id(app, sent, path) or "")


def test_generated_request_ids_are_unique(app: FastAPI) -> None:
    made = {called(app, "GET", "/health").header("x-request-id") for _ in range(20)}
    assert len(made) == 20


def test_a_path_cannot_forge_log_lines(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    check_error(called(app, "GET", "/a\r\nforged \x1b[31m é"), 404)
    (record,) = (record for record in caplog.records if record.name == "friendli_endpoint.http")
    assert record.getMessage().startswith("GET /a%0D%0Aforged%20%1B%5B31m%20%C3%A9 404 ")


# ── exceptions of the application ────────────────────────────────────────────────────────────


def served(inner: Any, *headers: tuple[str, str]) -> Call:
    """Returns a finished call of an application behind the middleware, however it ended."""
    calls = []

    async def scenario() -> None:
        app = RequestIdMiddleware(inner, Telemetry(), "/completions")
        async with Call(app, headers=headers) as call:
            await asyncio.wait({call.task})
            calls.append(call)

    run(scenario)
    return calls[0]


def test_an_exception_before_the_response_gets_500_with_the_request_id() -> None:
    async def inner(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError("a secret")

    call = served(inner, ("x-request-id", "mine"))
    assert "secret" not in check_error(call, 500)["message"]
    assert call.header("x-request-id") == "mine"
    assert call.task.exception() is None


def test_an_exception_during_the_response_is_raised_without_a_second_response(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def inner(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("in the middle")

    call = served(inner, ("x-request-id", "mine"))
    assert (call.status, call.body, call.ended) == (200, b"", False)
    assert isinstance(call.task.exception(), ValueError)
    assert [record.getMessage() for record in caplog.records] == ["request mine failed"]


def test_the_request_id_overrides_that_of_the_application() -> None:
    async def inner(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"x-request-id", b"another")]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body"})

    assert served(inner, ("x-request-id", "mine")).header("x-request-id") == "mine"

"""Routes, the form of errors, and request ids."""

import json
import re
import warnings

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from tests.http.scripted import COMPLETIONS, Call, ScriptedService, check_error, run, scripted_app


def called(app: FastAPI, method: str, path: str, *headers: tuple[str, str]) -> Call:
    """A call that is over."""
    calls = []

    async def scenario() -> None:
        async with Call(app, method, path, headers=headers) as call:
            calls.append(await call.done())

    run(scenario)
    return calls[0]


@pytest.fixture
def app() -> FastAPI:
    return scripted_app(ScriptedService())


def test_health_of_a_loaded_model(app: FastAPI) -> None:
    call = called(app, "GET", "/health")
    assert call.status == 200
    assert call.header("x-request-id")


def test_a_process_lives_before_its_model_is_loaded() -> None:
    assert called(scripted_app(ScriptedService(loaded=False)), "GET", "/live").status == 200


def test_models_are_a_list(app: FastAPI) -> None:
    call = called(app, "GET", "/dedicated/v1/models")
    assert call.status == 200
    assert call.json == {"object": "list", "data": [{"id": "m", "object": "model"}]}


@pytest.mark.parametrize("path", ["/health", "/dedicated/v1/models"])
def test_before_the_model_is_loaded_it_is_503_with_retry_after(path: str) -> None:
    call = called(scripted_app(ScriptedService(loaded=False)), "GET", path)
    assert check_error(call, 503)["code"] == "loading"
    assert call.header("retry-after") == "3"


@pytest.mark.parametrize("path", ["/", "/nowhere", "/dedicated/v1/chat/completions/", "/%22%0a"])
def test_an_unknown_path_is_404(app: FastAPI, path: str) -> None:
    assert path in check_error(called(app, "GET", path), 404)["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", COMPLETIONS, "POST"),
        ("PUT", COMPLETIONS, "POST"),
        ("DELETE", COMPLETIONS, "POST"),
        ("POST", "/health", "GET"),
        ("POST", "/dedicated/v1/models", "GET"),
    ],
)
def test_a_wrong_method_is_405_with_allow(
    app: FastAPI, method: str, path: str, allowed: str
) -> None:
    call = called(app, method, path)
    assert method in check_error(call, 405)["message"]
    assert call.header("allow") == allowed


# ── request ids ──────────────────────────────────────────────────────────────────────────────


def request_id(app: FastAPI, sent: str, path: str = "/health") -> str | None:
    return called(app, "GET", path, ("x-request-id", sent)).header("x-request-id")


@given(st.from_regex(r"[\x21-\x7e]{1,128}", fullmatch=True))
def test_a_request_id_that_was_sent_comes_back(sent: str) -> None:
    assert request_id(scripted_app(ScriptedService()), sent) == sent


@pytest.mark.parametrize("path", ["/health", "/nowhere"])
@pytest.mark.parametrize(
    "sent",
    ["", " ", "a b", "a\r\nset-cookie: b", "a\nb", "a\x00b", "é", "x" * 129, "a\n", "\x7f"],
)
def test_another_one_is_replaced(app: FastAPI, sent: str, path: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", request_id(app, sent, path) or "")


def test_request_ids_differ(app: FastAPI) -> None:
    made = {called(app, "GET", "/health").header("x-request-id") for _ in range(20)}
    assert len(made) == 20


def test_a_path_cannot_write_lines_into_the_log(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    check_error(called(app, "GET", "/a\r\nforged \x1b[31m é"), 404)
    (record,) = (each for each in caplog.records if each.name == "friendli_endpoint.http")
    assert record.getMessage().startswith("GET /a%0D%0Aforged%20%1B%5B31m%20%C3%A9 404 ")


# ── the OpenAPI document ─────────────────────────────────────────────────────────────────────


def test_the_openapi_document_describes_the_body_and_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call = called(scripted_app(ScriptedService()), "GET", "/openapi.json")
    assert call.status == 200
    operation = call.json["paths"][COMPLETIONS]["post"]
    schemas = call.json["components"]["schemas"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    fields = schemas[body["$ref"].rpartition("/")[2]]
    assert fields["required"] == ["model", "messages"]
    assert {"temperature", "stop", "seed", "tools"} <= set(fields["properties"])
    assert set(operation["responses"]["200"]["content"]) == {
        "application/json",
        "text/event-stream",
    }


def test_every_reference_in_the_openapi_document_leads_somewhere(app: FastAPI) -> None:
    document = called(app, "GET", "/openapi.json").json
    references = set(re.findall(r'"\$ref": "([^"]*)"', json.dumps(document)))
    assert references
    for reference in references:
        place = document
        start, *names = reference.split("/")
        assert start == "#"
        for name in names:
            place = place[name]
        assert place


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_there_is_no_page_that_loads_programs_from_elsewhere(app: FastAPI, path: str) -> None:
    check_error(called(app, "GET", path), 404)

"""Errors of the framework as JSON errors, and disabled pages."""

import json

import pytest
from fastapi import FastAPI

from tests.http.scripted import (
    COMPLETIONS,
    VALID,
    ScriptedService,
    called,
    check_error,
    scripted_app,
)


@pytest.fixture
def app() -> FastAPI:
    return scripted_app(ScriptedService())


@pytest.mark.parametrize("path", ["/", "/nowhere", "/dedicated/v1/chat/completions/", "/%22%0a"])
def test_an_unknown_path_gets_404(app: FastAPI, path: str) -> None:
    assert path in check_error(called(app, "GET", path), 404)["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", COMPLETIONS, "POST"),
        ("PUT", COMPLETIONS, "POST"),
        ("DELETE", COMPLETIONS, "POST"),
        ("POST", "/health", "GET, HEAD"),
        ("POST", "/dedicated/v1/models", "GET, HEAD"),
        ("PUT", "/dedicated/v1/adapters", "GET, HEAD, POST"),
        ("GET", "/dedicated/v1/adapters/a/b", "DELETE"),
        ("OPTIONS", COMPLETIONS, "POST"),
        ("TRACE", "/live", "GET, HEAD"),
        ("PUT", "/openapi.json", "GET, HEAD"),
    ],
)
def test_an_unsupported_method_gets_405_with_allow(
    app: FastAPI, method: str, path: str, allowed: str
) -> None:
    call = called(app, method, path)
    assert method in check_error(call, 405)["message"]
    assert call.header("allow") == allowed


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_that_load_scripts_from_other_hosts_are_disabled(app: FastAPI, path: str) -> None:
    check_error(called(app, "GET", path), 404)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
def test_a_request_for_which_there_is_no_memory_gets_503(error: Exception) -> None:
    service = ScriptedService()
    service.error = error
    body = [json.dumps(VALID).encode()]
    call = called(scripted_app(service), "POST", COMPLETIONS, body=body)
    assert check_error(call, 503)["code"] == "out_of_memory"
    assert call.header("retry-after") == "1"

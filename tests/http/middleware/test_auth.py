"""Authentication: valid and invalid tokens, and open paths."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from friendli_endpoint.http.middleware.tokens import TokenDigests, parse_tokens
from tests.http.scripted import (
    COMPLETIONS,
    VALID,
    Call,
    ScriptedService,
    called,
    check_error,
    scripted_app,
)

TOKENS = parse_tokens(["first-secret", "second-secret"], "here")


def asked(
    method: str,
    path: str,
    *headers: tuple[str, str],
    body: bytes = b"",
    tokens: Callable[[], TokenDigests] | None = lambda: TOKENS,
    **policy: Any,
) -> Call:
    """Returns a finished call of an endpoint with these tokens whose model is not loaded."""
    app = scripted_app(ScriptedService(loaded=False), tokens=tokens, **policy)
    return called(app, method, path, *headers, body=[body])


def shown(authorization: str, **policy: Any) -> Call:
    return asked("GET", "/dedicated/v1/models", ("authorization", authorization), **policy)


@pytest.mark.parametrize(
    "authorization",
    ["Bearer first-secret", "Bearer second-secret", "bearer first-secret", "BEARER  first-secret"],
)
def test_a_valid_token_is_accepted(authorization: str) -> None:
    assert check_error(shown(authorization), 503)["code"] == "loading"


WRONG = [
    "",
    "Bearer",
    "Bearer ",
    "Bearer wrong",
    "Bearer first-secre",
    "Bearer first-secret2",
    "Bearer first-secret second-secret",
    "Bearer FIRST-SECRET",
    "Basic first-secret",
    "first-secret",
    "Bearerfirst-secret",
    "Bearer é",
    "Bearer " + "x" * 10_000,
]


@pytest.mark.parametrize("authorization", WRONG, ids=lambda value: repr(value[:30]))
def test_an_invalid_token_gets_401_without_details(
    authorization: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    call = shown(authorization)
    without_token = asked("GET", "/dedicated/v1/models")
    assert check_error(call, 401) == check_error(without_token, 401)
    assert call.header("www-authenticate") == "Bearer"
    assert call.json["error"]["type"] == "authentication_error"
    assert "secret" not in call.body.decode() + caplog.text


def test_two_authorization_headers_are_rejected() -> None:
    both = [("authorization", f"Bearer {name}-secret") for name in ("first", "second")]
    check_error(asked("GET", "/dedicated/v1/models", *both), 401)


@pytest.mark.parametrize("authorization", WRONG[:5])
def test_without_tokens_authorization_is_ignored(authorization: str) -> None:
    assert check_error(shown(authorization, tokens=None), 503)["code"] == "loading"


@pytest.mark.parametrize("path", ["/live", "/health"])
def test_open_paths_need_no_token(path: str) -> None:
    assert asked("GET", path).status in (200, 503)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", COMPLETIONS),
        ("GET", "/openapi.json"),
        ("GET", "/nowhere"),
        ("GET", "/health/"),
        ("GET", "/metrics"),
        ("OPTIONS", COMPLETIONS),
    ],
)
def test_all_other_paths_need_a_token(method: str, path: str) -> None:
    check_error(asked(method, path, body=json.dumps(VALID).encode()), 401)


def test_the_operator_can_open_more_paths() -> None:
    assert asked("GET", "/metrics", open_paths=frozenset({"/metrics"})).status == 200


@pytest.mark.parametrize("size", [0, 100_000])
def test_the_body_of_an_unauthorized_request_is_not_read(size: int) -> None:
    call = asked("POST", COMPLETIONS, ("content-length", str(size)), body=b" " * size)
    check_error(call, 401)
    assert call.chunks_read == 0
    assert call.header("connection") == ("close" if size else None)

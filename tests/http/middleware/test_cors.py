"""CORS: allowed origins and methods, and exposed headers."""

from typing import Any

import pytest

from friendli_endpoint.http.middleware.tokens import parse_tokens
from tests.http.scripted import (
    COMPLETIONS,
    Call,
    ScriptedService,
    called,
    check_error,
    scripted_app,
)

TOKENS = parse_tokens(["secret"], "here")
ORIGIN = "https://pages.example"


MODELS = "/dedicated/v1/models"


def asked(method: str, path: str, *headers: tuple[str, str], **policy: Any) -> Call:
    """Returns a finished call of an endpoint with a token."""
    app = scripted_app(ScriptedService(), **{"tokens": lambda: TOKENS, **policy})
    return called(app, method, path, *headers)


def preflight(origin: str, method: str = "POST", **policy: Any) -> Call:
    """Returns a finished preflight request."""
    headers = (
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", "authorization, content-type"),
    )
    return asked("OPTIONS", COMPLETIONS, *headers, **policy)


def test_cross_origin_requests_are_forbidden_by_default() -> None:
    check_error(preflight(ORIGIN), 401)
    check_error(preflight(ORIGIN, tokens=None), 405)
    call = asked("GET", "/health", ("origin", ORIGIN))
    assert call.header("access-control-allow-origin") is None


@pytest.mark.parametrize("origins", [(ORIGIN,), ("https://other.example", ORIGIN)])
def test_an_allowed_origin_may_send_requests(origins: tuple[str, ...]) -> None:
    call = preflight(ORIGIN, cors_origins=origins)
    assert call.status == 200
    assert call.header("access-control-allow-origin") == ORIGIN
    assert "authorization" in (call.header("access-control-allow-headers") or "")
    rejected = asked("GET", MODELS, ("origin", ORIGIN), cors_origins=origins)
    check_error(rejected, 401)
    assert rejected.header("access-control-allow-origin") == ORIGIN


def test_another_origin_may_not_send_requests() -> None:
    call = preflight("https://evil.example", cors_origins=(ORIGIN,))
    assert check_error(call, 400)["code"] == "cors"
    assert call.header("access-control-allow-origin") is None
    assert call.header("vary") == "Origin"


def test_a_star_allows_every_origin() -> None:
    for origin in (ORIGIN, "https://other.example"):
        assert preflight(origin, cors_origins=("*",)).status == 200
        call = asked("GET", "/health", ("origin", origin), cors_origins=("*",))
        assert call.header("access-control-allow-origin") == "*"


@pytest.mark.parametrize(
    ("method", "status"),
    [("GET", 200), ("POST", 200), ("DELETE", 200), ("PUT", 400), ("PATCH", 400)],
)
def test_only_the_methods_of_the_routes_are_allowed(method: str, status: int) -> None:
    call = preflight(ORIGIN, method, cors_origins=(ORIGIN,))
    assert call.status == status
    if status == 400:
        assert "method" in check_error(call, 400)["message"]


def test_request_id_and_retry_after_are_exposed_to_pages() -> None:
    call = asked("GET", MODELS, ("origin", ORIGIN), cors_origins=(ORIGIN,))
    exposed = call.header("access-control-expose-headers") or ""
    assert {name.strip() for name in exposed.split(",")} == {"x-request-id", "retry-after"}

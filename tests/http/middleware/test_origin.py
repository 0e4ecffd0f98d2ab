"""Pages of other origins: requests that a browser sends for them are rejected."""

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

HOST = ("host", "127.0.0.1:8000")
BODY = b'{"model": "m", "prompt": "a"}'
TOKENIZE = "/dedicated/v1/tokenize"

OWN = ["http://127.0.0.1:8000", "HTTP://127.0.0.1:8000"]
FOREIGN = [
    "https://evil.example",
    "null",
    "",
    "https://127.0.0.1:8000",
    "http://127.0.0.1",
    "http://127.0.0.1:80001",
    "http://127.0.0.1:8000.evil.example",
    "http://evil.example/http://127.0.0.1:8000",
    "127.0.0.1:8000",
]


def posted(origin: str, host: tuple[str, str] = HOST, **policy: Any) -> Call:
    """Returns a finished call of a page."""
    app = scripted_app(ScriptedService(), **policy)
    return called(app, "POST", TOKENIZE, host, ("origin", origin), body=[BODY])


@pytest.mark.parametrize("origin", OWN)
def test_a_page_of_the_endpoint_itself_may_send_requests(origin: str) -> None:
    assert posted(origin).status == 200


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_another_origin_gets_403(origin: str) -> None:
    error = check_error(posted(origin), 403, "origin")
    assert error["code"] == "foreign_origin"
    assert "--cors-origin" in error["message"]
    assert repr(origin) in error["message"]


@pytest.mark.parametrize("port", ["", ":80"])
def test_the_default_port_may_be_omitted(port: str) -> None:
    assert posted("http://here.example", ("host", f"here.example{port}")).status == 200
    assert posted("http://here.example:80", ("host", f"here.example{port}")).status == 200


def test_without_a_host_no_origin_is_the_own_one() -> None:
    app = scripted_app(ScriptedService())
    check_error(called(app, "POST", TOKENIZE, ("origin", "http://"), body=[BODY]), 403, "origin")


def test_one_foreign_origin_among_several_is_rejected() -> None:
    app = scripted_app(ScriptedService())
    headers = [HOST, ("origin", OWN[0]), ("origin", FOREIGN[0])]
    check_error(called(app, "POST", TOKENIZE, *headers, body=[BODY]), 403, "origin")


@pytest.mark.parametrize(
    ("allowed", "origin", "status"),
    [
        ("https://pages.example", "https://pages.example", 200),
        ("https://pages.example", "https://other.example", 403),
        ("https://pages.example", "null", 403),
        ("*", "https://other.example", 200),
        ("*", "null", 200),
    ],
)
def test_cors_origin_allows_origins(allowed: str, origin: str, status: int) -> None:
    assert posted(origin, cors_origins=(allowed,)).status == status


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", COMPLETIONS), ("DELETE", "/dedicated/v1/adapters/a"), ("PUT", "/x"), ("X", "/live")],
)
def test_every_method_that_is_not_safe_is_checked(method: str, path: str) -> None:
    service = ScriptedService()
    service.loaded_adapters["a"] = "file"
    call = called(scripted_app(service), method, path, HOST, ("origin", "null"))
    check_error(call, 403, "origin")
    assert service.loaded_adapters
    assert not service.prepared


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_request_that_only_reads_passes_without_permission_to_show_the_response(
    method: str,
) -> None:
    call = called(scripted_app(ScriptedService()), method, "/health", HOST, ("origin", "null"))
    assert call.status in (200, 405)
    assert call.header("access-control-allow-origin") is None


def test_the_origin_is_checked_before_the_token_and_the_body() -> None:
    tokens = parse_tokens(["secret"], "here")
    app = scripted_app(ScriptedService(), tokens=lambda: tokens)
    check_error(called(app, "POST", TOKENIZE, HOST, ("origin", "null"), body=[b"{"]), 403, "origin")

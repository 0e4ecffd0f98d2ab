"""HEAD where GET is, and OPTIONS for the whole server."""

import pytest
from starlette.routing import Route

from tests.http.scripted import COMPLETIONS, ScriptedService, called, check_error, scripted_app
from tests.server.served import LINE, closing, served

APP = scripted_app(ScriptedService(), open_admin=True)
READABLE = sorted(
    {
        route.path
        for route in APP.routes
        if isinstance(route, Route) and "GET" in (route.methods or ())
    }
)
"""Every path that GET serves, those of routes to come included."""


def test_there_are_paths_to_read() -> None:
    assert {"/health", "/live", "/metrics", "/openapi.json"} < set(READABLE)


@pytest.mark.parametrize("path", READABLE)
def test_head_has_the_status_and_headers_of_get_and_no_content(path: str) -> None:
    get, head = called(APP, "GET", path), called(APP, "HEAD", path)
    assert get.status == head.status == 200
    assert len(get.body) > 0
    assert head.body == b""
    lengths = {call.header("content-length") for call in (get, head)}
    assert path == "/metrics" or lengths == {str(len(get.body))}
    assert get.header("content-type") == head.header("content-type")
    assert get.header("cache-control") == head.header("cache-control") == "no-store"


@pytest.mark.parametrize("path", ["/health", "/dedicated/v1/models"])
def test_head_fails_as_get_does(path: str) -> None:
    app = scripted_app(ScriptedService(loaded=False))
    get, head = called(app, "GET", path), called(app, "HEAD", path)
    assert get.status == head.status == 503
    assert get.header("retry-after") == head.header("retry-after")
    assert head.body == b""
    assert head.header("content-length") == str(len(get.body))


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), (COMPLETIONS, 405)])
def test_head_of_what_cannot_be_read_is_an_error_without_content(path: str, status: int) -> None:
    head = called(APP, "HEAD", path)
    assert head.status == status
    assert head.body == b""
    assert head.header("allow") == ("POST" if status == 405 else None)


def test_head_needs_a_token_where_get_does() -> None:
    app = scripted_app(ScriptedService(), tokens=lambda: frozenset({b"x"}))
    assert called(app, "HEAD", "/dedicated/v1/models").status == 401
    assert called(app, "HEAD", "/health").status == 200


def test_head_sends_no_content_over_a_connection() -> None:
    with served() as endpoint:
        answer = endpoint.send(
            b"HEAD /health HTTP/1.1\r\nhost: here\r\n\r\n",
            closing(b"HEAD /dedicated/v1/models HTTP/1.1\r\nhost: here\r\n\r\n"),
        )
    text = answer.head + LINE + answer.body
    heads = text.split(LINE)
    assert [head[:13] for head in heads] == [b"HTTP/1.1 200 ", b"HTTP/1.1 200 ", b""]


@pytest.mark.parametrize("target", ["*", "http://here"])
def test_options_of_the_whole_server_lists_the_methods(target: str) -> None:
    sent = closing(f"OPTIONS {target} HTTP/1.1\r\nhost: here\r\n\r\n".encode())
    with served() as endpoint:
        answer = endpoint.send(sent)
    assert answer.status == 204
    assert b"\r\nallow: DELETE, GET, HEAD, POST\r\n" in answer.head + LINE
    assert answer.body == b""


def test_options_of_a_path_is_405_with_the_methods_it_has() -> None:
    call = called(APP, "OPTIONS", "/dedicated/v1/adapters")
    check_error(call, 405)
    assert call.header("allow") == "GET, HEAD, POST"

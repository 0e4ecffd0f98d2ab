"""Who is let in: tokens and their file, what needs none, and pages of other origins."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.http.middleware.tokens import (
    TokenError,
    TokenFile,
    Tokens,
    find,
    parse_tokens,
)
from tests.http.scripted import (
    COMPLETIONS,
    VALID,
    Call,
    ScriptedService,
    check_error,
    run,
    scripted_app,
)

TOKENS = parse_tokens(["first-secret", "second-secret"], "here")


def called(
    method: str,
    path: str,
    *headers: tuple[str, str],
    body: bytes = b"",
    tokens: Callable[[], Tokens] | None = lambda: TOKENS,
    **granted: Any,
) -> Call:
    """A call that is over, to an endpoint with these tokens."""
    calls = []

    async def scenario() -> None:
        app = scripted_app(ScriptedService(loaded=False), tokens=tokens, **granted)
        async with Call(app, method, path, headers=headers, body=[body]) as call:
            calls.append(await call.done())

    run(scenario)
    return calls[0]


def shown(authorization: str, **granted: Any) -> Call:
    return called("GET", "/dedicated/v1/models", ("authorization", authorization), **granted)


@pytest.mark.parametrize(
    "authorization",
    ["Bearer first-secret", "Bearer second-secret", "bearer first-secret", "BEARER  first-secret"],
)
def test_a_valid_token_is_let_in(authorization: str) -> None:
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
def test_another_is_401_which_does_not_say_what_is_wrong(
    authorization: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    call = shown(authorization)
    none = called("GET", "/dedicated/v1/models")
    assert check_error(call, 401) == check_error(none, 401)
    assert call.header("www-authenticate") == "Bearer"
    assert call.json["error"]["type"] == "authentication_error"
    assert "secret" not in call.body.decode() + caplog.text


def test_two_tokens_are_none() -> None:
    both = [("authorization", f"Bearer {each}-secret") for each in ("first", "second")]
    check_error(called("GET", "/dedicated/v1/models", *both), 401)


@pytest.mark.parametrize("authorization", WRONG[:5])
def test_without_tokens_anybody_is_let_in(authorization: str) -> None:
    assert check_error(shown(authorization, tokens=None), 503)["code"] == "loading"


@pytest.mark.parametrize("path", ["/live", "/health"])
def test_some_paths_need_no_token(path: str) -> None:
    assert called("GET", path).status in (200, 503)


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
def test_all_others_do(method: str, path: str) -> None:
    check_error(called(method, path, body=json.dumps(VALID).encode()), 401)


def test_the_operator_can_open_more_paths() -> None:
    assert called("GET", "/metrics", open_paths=frozenset({"/metrics"})).status == 200


@pytest.mark.parametrize("size", [0, 100_000])
def test_the_body_of_a_stranger_is_not_read(size: int) -> None:
    call = called("POST", COMPLETIONS, ("content-length", str(size)), body=b" " * size)
    check_error(call, 401)
    assert call.pieces_read == 0
    assert call.header("connection") == ("close" if size else None)


# ── tokens ───────────────────────────────────────────────────────────────────────────────────


def test_comments_and_empty_lines_are_no_tokens() -> None:
    tokens = parse_tokens(["# first", "", "  a  ", "b#c", "   #d"], "here")
    assert [find(tokens, each) is not None for each in (b"a", b"b#c", b"#d", b"", b"#")] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("lines", [[], ["# all", ""], ["a b"], ["ok", "gr\u00fcn"], ["a\x00b"]])
def test_what_is_no_token_is_refused_and_not_shown(lines: list[str]) -> None:
    with pytest.raises(TokenError) as caught:
        parse_tokens(lines, "the place")
    assert "the place" in str(caught.value)
    assert not any(line in str(caught.value) for line in lines if " " in line or "\x00" in line)


@given(st.sets(st.from_regex(r"[!\"$-~]{1,20}", fullmatch=True), min_size=1), st.binary())
def test_a_token_is_found_if_it_is_there_and_never_kept(tokens: set[str], other: bytes) -> None:
    parsed = parse_tokens(tokens, "here")
    for token in tokens:
        assert find(parsed, token.encode()) in parsed
        assert token.encode() not in parsed
    assert (find(parsed, other) is not None) == (other in {each.encode() for each in tokens})


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


def write(path: Path, content: bytes, version: int) -> None:
    """Writes a file, and gives it a time of its own."""
    path.write_bytes(content)
    os.utime(path, ns=(version, version))


def holds(file: TokenFile, token: bytes) -> bool:
    return find(file.current(), token) is not None


def test_a_file_is_read_again_when_it_has_changed(path: Path, clock: Clock) -> None:
    write(path, b"old", 1)
    file = TokenFile(path, clock)
    write(path, b"new", 2)
    clock.now += 0.9
    assert holds(file, b"old"), "it was looked at again within a second"
    clock.now += 0.2
    assert holds(file, b"new")
    assert not holds(file, b"old")


@pytest.mark.parametrize("content", [b"", b"# none", b"a b", b"\xff", None], ids=repr)
def test_a_broken_file_leaves_the_tokens_as_they_were(
    path: Path, clock: Clock, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, b"old", 1)
    file = TokenFile(path, clock)
    if content is None:
        path.unlink()
    else:
        write(path, content, 2)
    for _ in range(3):
        clock.now += 2
        assert holds(file, b"old")
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert str(path) in record.message
    write(path, b"new", 3)
    clock.now += 2
    assert holds(file, b"new")


def test_a_file_that_is_not_there_at_the_start_is_an_error(path: Path) -> None:
    with pytest.raises(TokenError, match=r"cannot read .*tokens"):
        TokenFile(path)


def test_the_endpoint_follows_its_file(path: Path, clock: Clock) -> None:
    write(path, b"old", 1)
    file = TokenFile(path, clock)
    assert shown("Bearer old", tokens=file.current).status == 503
    write(path, b"new", 2)
    clock.now += 2
    assert shown("Bearer old", tokens=file.current).status == 401
    assert shown("Bearer new", tokens=file.current).status == 503


# ── pages of other origins ───────────────────────────────────────────────────────────────────

ORIGIN = "https://pages.example"


def preflight(origin: str, **granted: Any) -> Call:
    asked = (
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization, content-type"),
    )
    return called("OPTIONS", COMPLETIONS, *asked, **granted)


def test_no_page_may_call_unless_the_operator_says() -> None:
    check_error(preflight(ORIGIN), 401)
    check_error(preflight(ORIGIN, tokens=None), 405)
    call = called("GET", "/health", ("origin", ORIGIN))
    assert call.header("access-control-allow-origin") is None


@pytest.mark.parametrize("origins", [(ORIGIN,), ("https://other.example", ORIGIN)])
def test_a_page_of_a_known_origin_may_call(origins: tuple[str, ...]) -> None:
    call = preflight(ORIGIN, cors_origins=origins)
    assert call.status == 200
    assert call.header("access-control-allow-origin") == ORIGIN
    assert "authorization" in (call.header("access-control-allow-headers") or "")
    refused = called("GET", "/dedicated/v1/models", ("origin", ORIGIN), cors_origins=origins)
    check_error(refused, 401)
    assert refused.header("access-control-allow-origin") == ORIGIN


def test_a_page_of_another_origin_may_not() -> None:
    call = preflight("https://evil.example", cors_origins=(ORIGIN,))
    assert check_error(call, 400)["code"] == "cors"
    assert call.header("access-control-allow-origin") is None

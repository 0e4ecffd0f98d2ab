"""Bearer tokens: parsing, files that change, and that tokens are neither stored nor shown."""

import os
from pathlib import Path

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.http.middleware.tokens import TokenError, TokenFile, find_token, parse_tokens
from tests.http.clock import Clock
from tests.http.scripted import ScriptedService, called, scripted_app

MODELS = "/dedicated/v1/models"


def test_comments_and_empty_lines_are_ignored() -> None:
    tokens = parse_tokens(["# first", "", "  a  ", "b#c", "   #d"], "here")
    assert [
        find_token(tokens, token) is not None for token in (b"a", b"b#c", b"#d", b"", b"#")
    ] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("lines", [[], ["# all", ""], ["a b"], ["ok", "gr\u00fcn"], ["a\x00b"]])
def test_an_invalid_token_is_rejected_and_not_shown(lines: list[str]) -> None:
    with pytest.raises(TokenError) as caught:
        parse_tokens(lines, "the place")
    assert "the place" in str(caught.value)
    assert not any(line in str(caught.value) for line in lines if " " in line or "\x00" in line)


@given(st.sets(st.from_regex(r"[!\"$-~]{1,20}", fullmatch=True), min_size=1), st.binary())
def test_tokens_are_found_by_digest_and_not_stored(tokens: set[str], unknown: bytes) -> None:
    parsed = parse_tokens(tokens, "here")
    for token in tokens:
        assert find_token(parsed, token.encode()) in parsed
        assert token.encode() not in parsed
    assert (find_token(parsed, unknown) is not None) == (
        unknown in {token.encode() for token in tokens}
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


def write(path: Path, content: bytes, version: int) -> None:
    """Writes a file and sets its modification time."""
    path.write_bytes(content)
    os.utime(path, ns=(version, version))


def holds(file: TokenFile, token: bytes) -> bool:
    return find_token(file.current(), token) is not None


def test_a_changed_file_is_reloaded(path: Path, clock: Clock) -> None:
    write(path, b"old", 1)
    file = TokenFile(path, clock)
    write(path, b"new", 2)
    clock.now += 0.9
    assert holds(file, b"old"), "it was reloaded within a second"
    clock.now += 0.2
    assert holds(file, b"new")
    assert not holds(file, b"old")


@pytest.mark.parametrize("content", [b"", b"# none", b"a b", b"\xff", None], ids=repr)
def test_an_invalid_file_keeps_the_previous_tokens(
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


def test_a_missing_file_is_an_error_at_startup(path: Path) -> None:
    with pytest.raises(TokenError, match=r"cannot read .*tokens"):
        TokenFile(path)


def status_for(app: FastAPI, token: str) -> int:
    return called(app, "GET", MODELS, ("authorization", f"Bearer {token}")).status


def test_the_endpoint_uses_the_reloaded_tokens(path: Path, clock: Clock) -> None:
    write(path, b"old", 1)
    file = TokenFile(path, clock)
    app = scripted_app(ScriptedService(), tokens=file.current)
    assert status_for(app, "old") == 200
    write(path, b"new", 2)
    clock.now += 2
    assert status_for(app, "old") == 401
    assert status_for(app, "new") == 200


def test_an_error_names_the_line() -> None:
    with pytest.raises(TokenError, match="the place: line 3 is not a token"):
        parse_tokens(["# a", "b", "c d"], "the place")


def test_a_file_with_another_size_and_the_same_time_is_reloaded(path: Path, clock: Clock) -> None:
    write(path, b"old", 1)
    file = TokenFile(path, clock)
    write(path, b"newer", 1)
    clock.now += 2
    assert holds(file, b"newer")

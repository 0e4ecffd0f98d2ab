"""The forms of request targets, and the options of connections."""

import pytest

from friendli_endpoint.server.request_head import (
    Problem,
    RequestHead,
    Target,
    check_head,
    keeps_alive,
)


def head(target: bytes = b"/", method: bytes = b"GET", *options: bytes) -> RequestHead:
    headers = [(b"host", b"here"), *((b"connection", option) for option in options)]
    return RequestHead(method, "1.1", target, headers)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/a?b", Target(b"/a?b")),
        (b"//a", Target(b"//a")),
        (b"/http://a/b", Target(b"/http://a/b")),
        (b"http://a/b?c", Target(b"/b?c", b"a")),
        (b"HTTP://A.b:80", Target(b"/", b"A.b:80")),
        (b"https://[::1]:8?a/b", Target(b"/?a/b", b"[::1]:8")),
        (b"http://a//b", Target(b"//b", b"a")),
    ],
)
def test_a_target_is_a_path_or_a_url(target: bytes, expected: Target) -> None:
    assert check_head(head(target)) == expected


INVALID_TARGETS = [
    *(b"", b"*", b"a", b"a:80", b"/a#", b"?a", b"ws://a/"),
    *(b"http:///a", b"http:/a", b"http://a b/", b"http://a#b", b"http://me@a/", b"http://a:b/"),
    b"http://[::1/",
]


@pytest.mark.parametrize("target", INVALID_TARGETS)
def test_other_targets_are_rejected(target: bytes) -> None:
    checked = check_head(head(target))
    assert isinstance(checked, Problem)
    assert checked.status == 400
    assert "target" in checked.message


@pytest.mark.parametrize("target", [b"*", b"http://here"])
def test_options_may_ask_for_the_whole_server(target: bytes) -> None:
    checked = check_head(head(target, b"OPTIONS"))
    assert isinstance(checked, Target)
    assert checked.url == b"*"


@pytest.mark.parametrize(
    ("version", "options", "expected"),
    [
        ("1.1", [], True),
        ("1.1", [b"keep-alive"], True),
        ("1.1", [b"x, CLOSE"], False),
        ("1.1", [b"closed"], True),
        ("1.1", [b"close", b"keep-alive"], False),
        ("1.0", [], False),
        ("1.0", [b"x", b"y, Keep-Alive"], True),
        ("1.0", [b"keep-alive, close"], False),
    ],
)
def test_connection_options_decide_whether_it_stays_open(
    version: str, options: list[bytes], expected: bool
) -> None:
    assert keeps_alive(head(b"/", b"GET", *options)._replace(version=version)) is expected

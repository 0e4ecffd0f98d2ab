"""Headers and trailers of a request: limits on their size, and trailers that are not headers."""

import json

import pytest

from friendli_endpoint.http.middleware.tokens import parse_tokens
from friendli_endpoint.server.connection import MAX_HEAD_BYTES
from tests.http.clock import ShiftedLoop, run_shifted
from tests.http.scripted import COMPLETIONS
from tests.server.connected import Connected
from tests.server.served import GET, LINE, served

READ = 256 * 1024
"""Number of bytes that uvloop passes to a protocol at once."""

TOKENIZE = b'{"model": "m", "prompt": "a"}'


def chunked(*trailers: bytes, path: str = "/dedicated/v1/tokenize", end: bytes = b"") -> bytes:
    """Returns a valid request in one chunk, with trailers."""
    head = f"POST {path} HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n{end.decode()}"
    body = b"%x\r\n" % len(TOKENIZE) + TOKENIZE + b"\r\n0\r\n"
    lines = b"".join(trailer + b"\r\n" for trailer in trailers)
    return head.encode() + b"transfer-encoding: chunked" + LINE + body + lines + b"\r\n"


@pytest.mark.parametrize("step", [READ, 1], ids=["in one read", "byte by byte"])
@pytest.mark.parametrize(
    ("trailer", "status"),
    [
        (b"authorization: Bearer secret", 401),
        (b"x-request-timeout: never", 401),
        (b"x-request-id: from-a-trailer", 401),
        (b"expect: 100-continue", 401),
        (b"origin: https://evil.example", 401),
    ],
)
def test_a_trailer_is_not_a_header(trailer: bytes, status: int, step: int) -> None:
    tokens = parse_tokens(["secret"], "here")

    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop, tokens=lambda: tokens)
        request = chunked(trailer)
        for start in range(0, len(request), step):
            connected.connection.data_received(request[start : start + step])
        await connected.until_written(b"HTTP/1.1")
        assert connected.connection.cycle.scope["headers"] == [
            (b"host", b"here"),
            (b"content-type", b"application/json"),
            (b"transfer-encoding", b"chunked"),
        ]
        assert connected.transport.written.startswith(b"HTTP/1.1 %d " % status)
        assert b"from-a-trailer" not in connected.transport.written
        await connected.until_closed()

    run_shifted(scenario)


def test_a_request_with_trailers_is_served_and_the_next_one_too() -> None:
    with served() as endpoint:
        answer = endpoint.send(
            chunked(b"x-request-timeout: never", b"a: b"),
            GET.replace(b"1.1", b"1.1\r\nx: y", 1),
            chunked(end=b"connection: close\r\n"),
        )
    text = answer.head + LINE + answer.body
    assert text.count(b"HTTP/1.1 200 ") == 3


HEADERS = {
    "one long header": [b"a: " + b"x" * 240_000],
    "many headers": [b"a: " + b"x" * 1_000] * 240,
    "a long name": [b"x" * 240_000 + b": a"],
    "just too many bytes": [b"a: " + b"x" * (MAX_HEAD_BYTES - 10)],
}


@pytest.mark.parametrize("step", [READ, 60_000], ids=["in one read", "in several"])
@pytest.mark.parametrize("lines", HEADERS.values(), ids=HEADERS)
def test_large_headers_get_431_however_they_arrive(lines: list[bytes], step: int) -> None:
    request = b"\r\n".join([b"GET /health HTTP/1.1", b"host: here", *lines, b"", b""])
    check_431(request, step)


def test_a_long_url_gets_431() -> None:
    check_431(b"GET /" + b"x" * 240_000 + b" HTTP/1.1\r\nhost: here\r\n\r\n", READ)


TRAILERS = {
    "one long trailer": chunked(b"a: " + b"x" * 240_000),
    "many trailers": chunked(*[b"a: " + b"x" * 1_000] * 240),
    "256 large trailers": chunked(*[b"a: " + b"x" * 72_000] * 256),
    "300 small trailers": chunked(*[b"a:"] * 300),
}


@pytest.mark.parametrize("request_", TRAILERS.values(), ids=TRAILERS)
def test_large_trailers_get_431_and_close_the_connection(request_: bytes) -> None:
    check_431(request_, READ)


def check_431(request: bytes, step: int) -> None:
    """Checks that a request is rejected after few bytes, by one response with status 431."""

    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        sent = 0
        while not connected.transport.closed and sent < len(request):
            connected.connection.data_received(request[sent : sent + step])
            sent += step
        assert sent <= READ
        connected.connection.connection_lost(None)
        head, _, body = connected.transport.written.partition(LINE)
        assert head.startswith(b"HTTP/1.1 431 ")
        assert b"connection: close" in head
        assert json.loads(body)["error"]["code"] == "headers_too_large"

    run_shifted(scenario)


def test_the_largest_allowed_headers_are_accepted() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        others = len("/health") + len("host: here\r\n") + len("a: \r\n")
        line = b"a: " + b"x" * (MAX_HEAD_BYTES - others)
        connected.connection.data_received(b"GET /health HTTP/1.1\r\nhost: here\r\n" + line + LINE)
        await connected.until_written(b"HTTP/1.1 200 ")
        await connected.until_closed()

    run_shifted(scenario)


def test_large_trailers_of_a_request_that_waits_do_not_disturb_the_response_before_it() -> None:
    with served() as endpoint:
        lines = f"POST {COMPLETIONS} HTTP/1.1\r\nhost: here\r\ncontent-length: 2"
        first = lines.encode() + LINE + b"{}"
        answer = endpoint.send(first, TRAILERS["many trailers"])
    assert answer.status in (0, 415), "another response than that to the first request"

"""Requests that clients, proxies, balancers and browsers may send, and the next one after each."""

import json
from typing import Any

import pytest

from tests.http.clock import ShiftedLoop, run_shifted, until
from tests.http.scripted import COMPLETIONS, steps
from tests.server.connected import Connected
from tests.server.served import GET, LINE, posting

HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\n"

GETS: dict[str, bytes] = {
    "an absolute target": b"GET http://localhost:8000/health?x HTTP/1.1\r\nhost: a.b\r\n",
    "an https target": b"GET HTTPS://LOCALHOST/health HTTP/1.1\r\nhost: localhost\r\n",
    "a host with a port": b"GET /health HTTP/1.1\r\nhost: localhost:8000\r\n",
    "a host with an empty port": b"GET /health HTTP/1.1\r\nhost: localhost:\r\n",
    "an IPv6 host": b"GET /health HTTP/1.1\r\nhost: [::1]:8000\r\n",
    "an empty host": b"GET /health HTTP/1.1\r\nhost:\r\n",
    "white space around a value": b"GET /health HTTP/1.1\r\nhost: \t localhost \t \r\n",
    "no white space": b"GET /health HTTP/1.1\r\nhost:localhost\r\n",
    "upper case": b"GET /health HTTP/1.1\r\nHOST: LOCALHOST\r\nCONNECTION: KEEP-ALIVE\r\n",
    "empty lines before": b"\r\n\r\n" + HEALTH,
    "a percent-encoded path": b"GET /%68ealt%68 HTTP/1.1\r\nhost: localhost\r\n",
    "a query": b"GET /health?a=b&c=%20?#"[:-1] + b" HTTP/1.1\r\nhost: localhost\r\n",
    "a body of a GET": HEALTH + b"content-length: 0\r\n",
    "an empty value": HEALTH + b"x-empty:\r\nx-other: \r\n",
    "a value that is not ASCII": HEALTH + b"x-name: J\xf6rg \xe2\x82\xac\r\n",
    "TE": HEALTH + b"te: trailers, deflate;q=0.5\r\nconnection: TE\r\n",
    "options of the connection": HEALTH
    + b"connection: foo, keep-alive\r\nkeep-alive: timeout=5\r\n",
    "Range": HEALTH + b"range: bytes=0-1\r\nif-range: x\r\n",
    "conditions": HEALTH
    + b"if-none-match: *\r\nif-modified-since: Mon, 30 Nov 2026 10:00:00 GMT\r\n",
    "Accept without JSON": HEALTH + b"accept: text/html, image/*;q=0.8\r\n",
    "an empty Accept": HEALTH + b"accept: \r\n",
    "Accept-Encoding": HEALTH
    + b"accept-encoding: gzip, br, identity;q=0\r\naccept-charset: latin1\r\n",
    "proxies": HEALTH + b"via: 1.1 a, 1.0 b (c)\r\nforwarded: for=1.2.3.4;proto=https;host=x\r\n",
    "X-Forwarded": HEALTH
    + b"x-forwarded-for: 1.2.3.4, , unknown\r\nx-forwarded-proto: https, http\r\n"
    + b"x-forwarded-host: a.b\r\nx-forwarded-port: 443\r\nx-real-ip: ::1\r\n",
    "Max-Forwards": HEALTH + b"max-forwards: 0\r\n",
    "a browser": HEALTH
    + b"upgrade-insecure-requests: 1\r\nsec-fetch-mode: navigate\r\ncookie: a=b; c=d\r\ndnt: 1\r\n"
    + b"cache-control: no-cache\r\npragma: no-cache\r\npriority: u=0, i\r\n",
    "an upgrade without the option": HEALTH + b"upgrade: h2c\r\n",
    "the option without an upgrade": HEALTH + b"connection: upgrade\r\n",
    "an expectation we do not know": HEALTH + b"expect: something\r\n",
}

BODY = b'{"model": "m", "prompt": "a"}'
HEAD = (
    b"POST /dedicated/v1/tokenize HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
)
SIZED = HEAD + b"content-length: %d\r\n" % len(BODY)
CHUNKED = HEAD + b"Transfer-Encoding: Chunked\r\n\r\n"
POSTS: dict[str, bytes] = {
    "zeros before a length": HEAD + b"content-length: 00%d\r\n\r\n" % len(BODY) + BODY,
    "a query": SIZED.replace(b"tokenize", b"tokenize?model=x&stream=1") + LINE[2:] + BODY,
    "an absolute target": SIZED.replace(b"POST /", b"POST http://localhost/") + LINE[2:] + BODY,
    "Accept without JSON": SIZED + b"accept: text/event-stream\r\n\r\n" + BODY,
    "an expectation": SIZED + b"expect: 100-continue\r\n\r\n" + BODY,
    "chunk extensions": CHUNKED + b'1D;a=b;c="d"\r\n' + BODY + b"\r\n0;z\r\n\r\n",
    "upper case and zeros": CHUNKED + b"0001D\r\n" + BODY + b"\r\n000\r\n\r\n",
    "white space behind a size": CHUNKED + b"1d  \r\n" + BODY + b"\r\n0\r\n\r\n",
    "trailers": CHUNKED
    + b"1d\r\n"
    + BODY
    + b"\r\n0\r\nx-sum: 1\r\nhost: evil\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
    "byte by byte": CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n",
    "a trailer announced": HEAD
    + b"trailer: x-sum\r\n"
    + CHUNKED[len(HEAD) :]
    + b"1d\r\n"
    + BODY
    + b"\r\n0\r\nx-sum: 1\r\n\r\n",
}
ALL = {
    **{name: sent + b"\r\n" for name, sent in GETS.items()},
    **{f"{k}, POST": v for k, v in POSTS.items()},
}


def exchange(sent: bytes, awaited: bytes, **policy: Any) -> bytes:
    """Sends bytes on one connection of a local endpoint; returns all responses."""
    written = []

    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop, allowed_hosts=(), **policy)
        connected.connection.data_received(sent)
        await connected.until_written(awaited)
        written.append(connected.transport.written)
        await connected.until_closed()

    run_shifted(scenario)
    return written[0]


NEXT = b"GET /dedicated/v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.mark.parametrize("name", ALL)
def test_a_legal_request_is_served_and_the_next_one_too(name: str) -> None:
    text = exchange(ALL[name] + NEXT, b'"object":"list"')
    assert text.count(b"HTTP/1.1 ") == text.count(b"HTTP/1.1 200 ") + text.count(b"HTTP/1.1 100 ")
    assert text.count(b"HTTP/1.1 200 ") == 2
    assert b"connection: close" not in text


@pytest.mark.parametrize(
    "connection",
    [b"close", b"Close", b"foo, close", b"close, TE", b"keep-alive, close", b"close,", b" ,close"],
)
def test_close_anywhere_in_the_options_closes_the_connection(connection: bytes) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        lines = b"connection: " + connection + b"\r\nconnection: x, keep-alive\r\n\r\n"
        connected.connection.data_received(HEALTH + lines)
        await until(lambda: connected.transport.closed)
        assert b"HTTP/1.1 200 " in connected.transport.written
        assert b"connection: close" in connected.transport.written
        connected.connection.connection_lost(None)

    run_shifted(scenario)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"//health", 404),
        (b"/health/", 404),
        (b"/dedicated/v1//chat/completions", 404),
        (b"/dedicated/v1/chat/completions/", 404),
        (b"/%2fhealth", 404),
        (b"/%zz", 404),
        (b"/%ff%00", 404),
        (b"/?health", 404),
        (b"http://localhost", 404),
        (b"http://localhost?x", 404),
        (b"http://evil.example/health", 421),
        (COMPLETIONS.encode(), 405),
    ],
)
def test_other_targets_get_a_json_error_and_keep_the_connection(target: bytes, status: int) -> None:
    text = exchange(b"GET %b HTTP/1.1\r\nhost: localhost\r\n\r\n" % target + NEXT, b'"list"')
    head, _, rest = text.partition(LINE)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/json" in head
    assert json.loads(rest[: rest.index(b"HTTP/1.1 ")])["error"]["message"]


@pytest.mark.parametrize("method", [b"TRACE", b"PUT", b"PROPFIND", b"QUERY", b"OPTIONS", b"POST"])
def test_other_methods_get_405_with_the_allowed_ones(method: bytes) -> None:
    sent = method + HEALTH[3:] + b"max-forwards: 0\r\ncontent-length: 0\r\n\r\n"
    text = exchange(sent + NEXT, b'"object":"list"')
    assert text.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nallow: GET, HEAD\r\n" in text


def test_a_stream_tells_proxies_neither_to_store_nor_to_buffer_it() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        connected.connection.data_received(posting(True) + GET)
        await connected.service.scripted.submitted.wait()
        connected.service.scripted.deliver(steps("a", finish=True))
        await connected.until_written(b'"ready"')
        head = connected.transport.written.partition(LINE)[0]
        assert b"cache-control: no-cache, no-store, no-transform" in head
        assert b"x-accel-buffering: no" in head
        assert b"transfer-encoding: chunked" in head
        assert b"content-encoding" not in head
        await connected.until_closed()

    run_shifted(scenario)


@pytest.mark.parametrize(
    ("size", "expects", "closes"), [(9, False, False), (9, True, True)], ids=["plain", "expecting"]
)
def test_an_early_error_closes_the_connection_if_the_body_may_not_come(
    size: int, expects: bool, closes: bool
) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        expect = b"expect: 100-continue\r\n" if expects else b""
        head = b"POST /nowhere HTTP/1.1\r\nhost: here\r\n%bcontent-length: %d\r\n\r\n"
        connected.connection.data_received(head % (expect, size))
        await connected.until_written(b"HTTP/1.1 404 ")
        assert b"HTTP/1.1 100 " not in connected.transport.written
        assert (b"connection: close" in connected.transport.written) == closes
        await connected.until_closed()

    run_shifted(scenario)

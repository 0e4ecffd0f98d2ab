"""HTTP below the application: offers to upgrade, HTTP/1.0, and requests that are invalid."""

import json
from functools import partial

import pytest

from tests.http.clock import ShiftedLoop, run_shifted, until
from tests.http.scripted import COMPLETIONS, VALID, steps
from tests.server.connected import Connected
from tests.server.served import GET, LINE, posting, served

BODY = json.dumps(VALID).encode()
TOKENIZE = b'{"model": "m", "prompt": "a"}'

OFFERS = {
    "JDK": "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAA",
    "curl": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
    "websocket": "upgrade: websocket\r\nconnection: keep-alive, Upgrade\r\nsec-websocket-key: eA==",
    "several": "connection: upgrade\r\nupgrade: foo/2, h2c\r\nupgrade: TLS/1.0",
    "in two lines": "connection: keep-alive\r\nconnection: upgrade\r\nupgrade: h2c",
    "none": "connection: keep-alive",
}


def tokenizing(offer: str, chunked: bool, request_id: str = "first-") -> tuple[bytes, bytes]:
    """Returns the head and the body of a request to tokenize, with an offer."""
    framing = "transfer-encoding: chunked" if chunked else f"content-length: {len(TOKENIZE)}"
    head = (
        f"POST /dedicated/v1/tokenize?a=b HTTP/1.1\r\nhost: here\r\n{offer}\r\n{framing}\r\n"
        f"content-type: application/json\r\nx-request-id: {request_id}\r\n\r\n"
    )
    half = len(TOKENIZE) // 2
    chunks = (TOKENIZE[:half], TOKENIZE[half:], b"")
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head.encode(), body if chunked else TOKENIZE


def cuts(head: bytes, body: bytes) -> dict[str, list[bytes]]:
    """Returns ways to receive a request and the next one."""
    sent = head + body + GET
    return {
        "at once": [sent],
        "body later": [head, body, GET],
        "cut head": [head[:50], head[50:] + body[:7], body[7:] + GET],
        "in bytes": [sent[n : n + 1] for n in range(len(sent))],
    }


@pytest.mark.parametrize("cut", cuts(b"", b""))
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("offer", OFFERS)
def test_an_offer_to_upgrade_is_ignored(offer: str, chunked: bool, cut: str) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        for part in cuts(*tokenizing(OFFERS[offer], chunked))[cut]:
            connected.connection.data_received(part)
        await connected.until_written(b'"ready"')
        first, second = connected.transport.written.split(b"HTTP/1.1 ")[1:]
        assert first.startswith(b"200 OK")
        assert b"x-request-id: first-" in first
        assert b"upgrade" not in first.lower()
        assert b"connection: close" not in first
        assert second.startswith(b"200 OK")
        assert connected.service.named == ["m"]
        assert connected.body_memory.num_bytes == 0
        await connected.until_closed()

    run_shifted(scenario)


def test_pipelined_requests_with_offers_are_served_in_order() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        requests = [
            b"".join(tokenizing(offer, number % 2 == 0, f"id-{number}-"))
            for number, offer in enumerate(OFFERS.values())
        ]
        connected.connection.data_received(b"".join(requests))
        await connected.until_written(b"id-5-")
        assert connected.transport.written.count(b"HTTP/1.1 200 ") == len(requests)
        places = [connected.transport.written.index(b"id-%d-" % n) for n in range(len(requests))]
        assert places == sorted(places)
        await connected.until_closed()

    run_shifted(scenario)


def test_an_offer_with_an_expectation_gets_100_and_the_response() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        head, body = tokenizing(f"{OFFERS['curl']}\r\nexpect: 100-Continue ", False)
        connected.connection.data_received(head)
        await connected.until_written(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert b"200 OK" not in connected.transport.written
        connected.connection.data_received(body)
        await connected.until_written(b"HTTP/1.1 200 ")
        await connected.until_closed()

    run_shifted(scenario)


def test_an_offer_does_not_excuse_an_invalid_body() -> None:
    head, _ = tokenizing(OFFERS["curl"], True)
    with served() as endpoint:
        answer = endpoint.send(head + b"zz\r\n")
    assert b"400" in answer.head.splitlines()[0]


def test_the_headers_of_a_request_with_an_offer_are_limited() -> None:
    offer = OFFERS["curl"] + "".join(f"\r\nx-{n}: {n}" for n in range(256))
    with served() as endpoint:
        assert endpoint.send(b"".join(tokenizing(offer, False))).status == 431


def has_responses(connected: Connected, number: int) -> bool:
    return connected.transport.written.count(b"HTTP/1.1 200 ") == number


# ── HTTP/1.0 ─────────────────────────────────────────────────────────────────────────────────


def test_a_stream_to_an_http_1_0_client_has_no_chunks_and_ends_with_the_connection() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        sent = posting(True).replace(b"HTTP/1.1", b"HTTP/1.0\r\nconnection: keep-alive", 1)
        connected.connection.data_received(sent)
        await connected.service.scripted.submitted.wait()
        connected.service.scripted.deliver(steps("one", "two", finish=True))
        await until(lambda: connected.transport.closed)
        head, _, body = connected.transport.written.partition(LINE)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in head
        assert b"transfer-encoding" not in head
        events = body.split(b"\n\n")
        assert all(event.startswith(b"data: ") for event in events[:-1])
        assert events[-2:] == [b"data: [DONE]", b""]
        connected.connection.connection_lost(None)

    run_shifted(scenario)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_an_http_1_0_connection_persists_if_the_client_asks(method: bytes) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        request = method + b" /health HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n"
        for number in (1, 2):
            connected.connection.data_received(request)
            await until(partial(has_responses, connected, number))
        assert connected.transport.written.count(b"connection: keep-alive") == 2
        assert b"connection: close" not in connected.transport.written
        connected.connection.data_received(b"GET /health HTTP/1.0\r\n\r\n")
        await until(lambda: connected.transport.closed)
        assert connected.transport.written.count(b" 200 ") == 3
        connected.connection.connection_lost(None)

    run_shifted(scenario)


def test_an_http_1_0_client_gets_no_100() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        head, body = tokenizing("expect: 100-continue", False)
        connected.connection.data_received(head.replace(b"HTTP/1.1", b"HTTP/1.0"))
        await until(lambda: connected.transport.reads)
        assert connected.transport.written == b""
        connected.connection.data_received(body)
        await connected.until_written(b"HTTP/1.1 200 ")
        assert b"100 Continue" not in connected.transport.written
        await connected.until_closed()

    run_shifted(scenario)


# ── requests that the parser accepts ─────────────────────────────────────────────────────────

POST = b"POST %b HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n" % (
    COMPLETIONS.encode()
)
INVALID: dict[bytes, int] = {
    b"GET /health\r\n\r\n": 400,
    b"GET /health HTTP/0.9\r\nhost: here\r\n\r\n": 400,
    b"GET /health HTTP/2.0\r\nhost: here\r\n\r\n": 400,
    b"GET /health HTTP/1.1\r\n\r\n": 400,
    b"GET /health HTTP/1.1\r\nhost: here\r\nhost: here\r\n\r\n": 400,
    b"GET /health HTTP/1.1\r\nhost: a b\r\n\r\n": 400,
    b"GET /health HTTP/1.1\r\nhost: here:80x\r\n\r\n": 400,
    b"GET /health HTTP/1.1\r\nhost: http://here\r\n\r\n": 400,
    b"GET /health#x HTTP/1.1\r\nhost: here\r\n\r\n": 400,
    b"GET * HTTP/1.1\r\nhost: here\r\n\r\n": 400,
    b"GET health HTTP/1.1\r\nhost: here\r\n\r\n": 400,
    b"GET ftp://here/health HTTP/1.1\r\nhost: here\r\n\r\n": 400,
    b"GET http://me@here/health HTTP/1.1\r\nhost: here\r\n\r\n": 400,
    b"CONNECT here:443 HTTP/1.1\r\nhost: here:443\r\n\r\n": 400,
    POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n": 501,
    POST + b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n": 501,
    POST.replace(b"1.1", b"1.0") + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n": 400,
    # These the parser rejects.
    b"get /health HTTP/1.1\r\nhost: here\r\n\r\n": 400,
    b"BREW /health HTTP/1.1\r\nhost: here\r\n\r\n": 400,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": 400,
    b"GET /health http/1.1\r\nhost: here\r\n\r\n": 400,
    b"GET /health HTTP/1.1\nhost: here\n\n": 400,
    b"GET /health HTTP/1.1\r\nhost : here\r\n\r\n": 400,
    b"GET /health HTTP/1.1\r\n host: here\r\n\r\n": 400,
    b"GET /health HTTP/1.1\r\nhost: here\r\nx: a\r\n b\r\n\r\n": 400,
    POST + b"content-length: +5\r\n\r\n12345": 400,
    POST + b"content-length: 5, 5\r\n\r\n12345": 400,
    POST + b"content-length: 5\r\ncontent-length: 5\r\n\r\n12345": 400,
    POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\n12345": 400,
    POST + b"content-length: 0x5\r\n\r\n12345": 400,
    POST + b"content-length:\r\n\r\n": 400,
    POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n": 400,
    POST + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n": 400,
    POST + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n": 400,
    POST + b"transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n": 400,
    POST + b"transfer-encoding: identity\r\n\r\n": 400,
    POST + b"transfer-encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n": 400,
    POST + b"transfer-encoding: chunked\r\n\r\n1\na\n0\n\n": 400,
}


@pytest.mark.parametrize("sent", INVALID, ids=repr)
def test_an_invalid_request_gets_an_error_and_a_closed_connection(sent: bytes) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        connected.connection.data_received(sent + GET)
        await until(lambda: connected.transport.closed)
        head, _, body = connected.transport.written.partition(LINE)
        assert head.startswith(b"HTTP/1.1 %d " % INVALID[sent])
        assert b"connection: close" in head
        assert b"x-request-id: " in head
        error = json.loads(body)["error"]
        assert error["code"] == "invalid_http"
        assert connected.service.prepared == []
        connected.connection.connection_lost(None)
        await until(lambda: connected.body_memory.num_bytes == 0)

    run_shifted(scenario)


def test_an_invalid_request_behind_another_does_not_spoil_its_response() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        connected.connection.data_received(posting(False) + b"GET /health HTTP/1.1\r\n\r\n")
        await connected.service.scripted.submitted.wait()
        connected.service.scripted.deliver(steps("a", finish=True))
        await until(lambda: connected.transport.closed)
        first, second = connected.transport.written.split(b"HTTP/1.1 ")[1:]
        assert first.startswith(b"200 ")
        assert second.startswith(b"400 ")
        connected.connection.connection_lost(None)

    run_shifted(scenario)

"""Connections under the real server: clients that do not read, and invalid HTTP."""

import json

import pytest

from tests.http.scripted import BOUND, steps
from tests.server.served import LINE, closing, posting, read, served

SHORT = 0.05


# ── clients that do not read ─────────────────────────────────────────────────────────────────


def test_a_stalled_client_is_disconnected_and_its_request_cancelled() -> None:
    with served(stall_seconds=SHORT) as endpoint, endpoint.connect(SO_RCVBUF=4096) as connection:
        connection.sendall(posting(True))
        assert endpoint.service.submitted.wait(BOUND)
        text = "x" * 100_000
        for _ in range(200):
            endpoint.service.scripted.deliver(steps(text))
        assert endpoint.service.cancelled.wait(BOUND)
        assert endpoint.service.scripted.cancelled == ["chatcmpl-1"]


def test_a_reading_client_receives_a_large_response_completely() -> None:
    with served(stall_seconds=BOUND) as endpoint, endpoint.connect(SO_RCVBUF=4096) as connection:
        connection.sendall(closing(posting(True)))
        assert endpoint.service.submitted.wait(BOUND)
        for _ in range(50):
            endpoint.service.scripted.deliver(steps("x" * 100_000))
        endpoint.service.scripted.deliver(steps("x", finish=True))
        answer = read(connection)
    assert answer.body.count(b"x" * 100_000) == 50
    assert b"data: [DONE]" in answer.body


# ── invalid HTTP ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: here\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: here\r\na: b\x00\r\n\r\n",
        b"GET ?x HTTP/1.1\r\nhost: here\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: here\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
    ],
)
def test_invalid_http_gets_400_with_a_json_error(sent: bytes) -> None:
    with served() as endpoint:
        answer = endpoint.send(sent)
    assert answer.status == 400, answer
    assert json.loads(answer.body)["error"]["code"] == "invalid_http"
    assert b"content-type: application/json" in answer.head
    assert b"x-request-id: " in answer.head


def test_invalid_bytes_during_a_response_close_the_connection() -> None:
    with served() as endpoint, endpoint.connect() as connection:
        connection.sendall(posting(True))
        assert endpoint.service.submitted.wait(BOUND)
        connection.sendall(b"\x00\x01\x02" * 10)
        assert b"400" not in read(connection).body
        assert endpoint.service.cancelled.wait(BOUND)


@pytest.mark.parametrize("path", ["/nowhere", "/health"])
def test_a_large_unneeded_body_is_not_read_to_the_end(path: str) -> None:
    with served() as endpoint, endpoint.connect() as connection:
        head = f"POST {path} HTTP/1.1\r\nhost: here\r\ncontent-length: 1000000000"
        connection.sendall(head.encode() + LINE + b" " * 1000)
        answer = read(connection)
    assert answer.status in (404, 405)

"""Connections under the real server: slow and silent clients, bad bytes, the end, TLS."""

import json
import signal
import socket
import ssl
from pathlib import Path

import pytest
import trustme
import uvicorn
from uvicorn.server import ServerState

from friendli_endpoint.http.connection import connection_type

from .scripted import BOUND, COMPLETIONS, VALID, ScriptedService, run, scripted_app, steps
from .served import LINE, Served, read, served

SHORT = 0.05


def posting(stream: bool) -> bytes:
    """A request for a completion."""
    body = json.dumps({**VALID, "stream": stream}).encode()
    return f"POST {COMPLETIONS} HTTP/1.1\r\ncontent-length: {len(body)}".encode() + LINE + body


def closing(request: bytes) -> bytes:
    """The same request on a connection that ends with it."""
    return request.replace(b"HTTP/1.1", b"HTTP/1.1\r\nconnection: close", 1)


GET = b"GET /health HTTP/1.1\r\nhost: here\r\n\r\n"
CLOSING = closing(GET)


# ── slow and silent clients ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"G", "headers_too_slow"),
        (GET[:-2], "headers_too_slow"),
        (posting(False)[:-1], "body_too_slow"),
        (posting(False).partition(LINE)[0] + LINE, "body_too_slow"),
        (GET.replace(b"here", b"x" * 60_000)[:-2], "headers_too_slow"),
    ],
    ids=["a byte", "no end of the headers", "no end of the body", "no body", "long headers"],
)
def test_a_slow_request_is_408(sent: bytes, code: str) -> None:
    with served(receive_seconds=SHORT) as endpoint:
        answer = endpoint.send(sent)
    assert answer.status == 408
    assert json.loads(answer.body)["error"]["code"] == code
    assert b"x-request-id: " in answer.head
    assert b"connection: close" in answer.head


class Transport:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def get_extra_info(self, _name: str) -> None:
        return None

    def write(self, piece: bytes) -> None:
        assert not self.closed
        self.written += piece

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("pieces", "refused"),
    [
        ([GET[:-2], *[b"a: b\r\n" * 1000] * 11], True),
        ([GET[:-2], *[b"x" * 1000] * 66], True),
        ([GET[:-2], *[b"x" * 1000] * 65], False),
        ([b"POST /nowhere HTTP/1.1\r\ncontent-length: 90000\r\n\r\n", b"x" * 90_000], False),
        ([b"POST /nowhere HTTP/1.1\r\ncontent-length: 90000\r\n\r\n", b"x" * 90_000 + b"G"], False),
    ],
    ids=["many", "one", "large ones", "a body", "a body and another request"],
)
def test_endless_headers_are_431(pieces: list[bytes], refused: bool) -> None:
    transport = Transport()

    async def scenario() -> None:
        config = uvicorn.Config(scripted_app(ScriptedService()), log_config=None)
        kind = connection_type(receive_seconds=BOUND, stall_seconds=BOUND)
        connection = kind(config, ServerState(), {})
        connection.connection_made(transport)
        for piece in pieces:
            connection.data_received(piece)
        connection.connection_lost(None)

    run(scenario)
    assert transport.written.startswith(b"HTTP/1.1 431 ") == refused
    assert (b'"headers_too_large"' in transport.written) == refused


def test_a_connection_that_says_nothing_is_closed() -> None:
    with served(receive_seconds=SHORT) as endpoint:
        assert endpoint.send().head == b""


def test_the_second_request_of_a_connection_has_its_own_time() -> None:
    with served(receive_seconds=SHORT) as endpoint:
        answer = endpoint.send(GET, b"GET /he")
    assert answer.status == 200
    assert b"headers_too_slow" in answer.body


def test_half_a_request_behind_another_does_not_disturb_its_answer() -> None:
    with served(receive_seconds=SHORT) as endpoint, endpoint.connect() as connection:
        connection.sendall(posting(True) + b"GET /he")
        read = connection.recv(65536)
        assert endpoint.service.submitted.wait(BOUND)
        for text in "abc":
            while text.encode() not in read:
                endpoint.service.scripted.deliver(steps(text))
                read += connection.recv(65536)
    assert b"408" not in read


def test_a_client_that_does_not_read_is_dropped_and_its_request_cancelled() -> None:
    with served(stall_seconds=SHORT) as endpoint, endpoint.connect(SO_RCVBUF=4096) as connection:
        connection.sendall(posting(True))
        assert endpoint.service.submitted.wait(BOUND)
        text = "x" * 100_000
        for _ in range(200):
            endpoint.service.scripted.deliver(steps(text))
        assert endpoint.service.cancelled.wait(BOUND)
        assert endpoint.service.scripted.cancelled == ["chatcmpl-1"]


def test_a_client_that_reads_gets_all_of_a_large_answer() -> None:
    with served(stall_seconds=BOUND) as endpoint, endpoint.connect(SO_RCVBUF=4096) as connection:
        connection.sendall(closing(posting(True)))
        assert endpoint.service.submitted.wait(BOUND)
        for _ in range(50):
            endpoint.service.scripted.deliver(steps("x" * 100_000))
        endpoint.service.scripted.deliver(steps("x", finish=True))
        answer = read(connection)
    assert answer.body.count(b"x" * 100_000) == 50
    assert b"data: [DONE]" in answer.body


# ── bytes that are no HTTP ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\na: b\x00\r\n\r\n",
        b"GET ?x HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
    ],
)
def test_what_is_no_http_is_400_in_the_one_form(sent: bytes) -> None:
    with served() as endpoint:
        answer = endpoint.send(sent)
    assert answer.status == 400, answer
    assert json.loads(answer.body)["error"]["code"] == "invalid_http"
    assert b"content-type: application/json" in answer.head
    assert b"x-request-id: " in answer.head


def test_bad_bytes_in_the_middle_of_an_answer_end_it() -> None:
    with served() as endpoint, endpoint.connect() as connection:
        connection.sendall(posting(True))
        assert endpoint.service.submitted.wait(BOUND)
        connection.sendall(b"\x00\x01\x02" * 10)
        assert b"400" not in read(connection).body
        assert endpoint.service.cancelled.wait(BOUND)


@pytest.mark.parametrize("path", ["/nowhere", "/health"])
def test_a_large_body_that_nobody_wants_is_not_read_to_the_end(path: str) -> None:
    with served() as endpoint, endpoint.connect() as connection:
        head = f"POST {path} HTTP/1.1\r\ncontent-length: 1000000000"
        connection.sendall(head.encode() + LINE + b" " * 1000)
        answer = read(connection)
    assert answer.status in (404, 405)


# ── the end ──────────────────────────────────────────────────────────────────────────────────


def streaming(endpoint: Served) -> socket.socket:
    """A connection on which a stream has begun."""
    connection = endpoint.connect()
    connection.sendall(posting(True))
    assert endpoint.service.submitted.wait(BOUND)
    assert connection.recv(65536)
    return connection


def test_after_a_signal_what_runs_goes_on_and_what_is_new_is_503() -> None:
    with served(drain_seconds=60) as endpoint, streaming(endpoint) as connection:
        endpoint.server.handle_exit(signal.SIGTERM, None)
        new = endpoint.send(closing(posting(False)))
        assert new.status == 503
        assert b"retry-after: 1" in new.head
        endpoint.service.scripted.deliver(steps("a", finish=True))
        assert b"[DONE]" in read(connection).head
        endpoint.thread.join(BOUND)
        assert endpoint.service.closed


def test_when_the_time_is_over_what_runs_is_told() -> None:
    with served(drain_seconds=0) as endpoint, streaming(endpoint) as connection:
        endpoint.server.handle_exit(signal.SIGTERM, None)
        assert b"shutting down" in read(connection).head
        endpoint.thread.join(BOUND)
        assert not endpoint.thread.is_alive()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(number: signal.Signals) -> None:
    with served(drain_seconds=10_000) as endpoint, streaming(endpoint) as connection:
        endpoint.server.handle_exit(signal.SIGTERM, None)
        endpoint.server.handle_exit(number, None)
        endpoint.thread.join(BOUND)
        assert not endpoint.thread.is_alive()
        read(connection)


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────


def test_with_a_certificate_it_speaks_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with served(tls=(cert, key)) as endpoint:
        with (
            endpoint.connect() as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(CLOSING)
            assert read(connection).status == 200
        assert endpoint.send(CLOSING).status == 0

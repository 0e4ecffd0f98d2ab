"""Graceful shutdown, and TLS."""

import json
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from uvicorn.server import HANDLED_SIGNALS

from friendli_endpoint.server import draining
from tests.http.scripted import BOUND, steps
from tests.server.served import CLOSING, GET, Served, closing, posting, read, served


def streaming(endpoint: Served) -> socket.socket:
    """Returns a connection on which a stream has begun."""
    connection = endpoint.connect()
    connection.sendall(posting(True))
    assert endpoint.service.submitted.wait(BOUND)
    assert connection.recv(65536)
    return connection


@pytest.fixture
def signals() -> Iterator[None]:
    """Restores the signal handlers."""
    before = {number: signal.getsignal(number) for number in HANDLED_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_after_a_signal_running_requests_finish_and_new_ones_get_503() -> None:
    with served(drain_seconds=60) as endpoint, streaming(endpoint) as connection:
        endpoint.server.handle_exit(signal.SIGTERM, None)
        new = endpoint.send(closing(posting(False)))
        assert new.status == 503
        assert b"retry-after: 1" in new.head
        endpoint.service.scripted.deliver(steps("a", finish=True))
        assert b"[DONE]" in read(connection).head
        endpoint.thread.join(BOUND)
        assert endpoint.service.closed


@pytest.mark.usefixtures("signals")
def test_running_requests_fail_after_the_drain_timeout() -> None:
    with served(drain_seconds=0) as endpoint, streaming(endpoint) as connection:
        endpoint.server.handle_exit(signal.SIGTERM, None)
        assert b"shutting down" in read(connection).head
        endpoint.thread.join(BOUND)
        assert not endpoint.thread.is_alive()


@pytest.mark.usefixtures("signals")
def test_a_whole_response_that_does_not_finish_in_time_gets_503() -> None:
    with served(drain_seconds=0) as endpoint, endpoint.connect() as connection:
        connection.sendall(posting(False))
        assert endpoint.service.submitted.wait(BOUND)
        endpoint.server.handle_exit(signal.SIGTERM, None)
        answer = read(connection)
    assert answer.status == 503
    assert b"retry-after: 1" in answer.head
    assert json.loads(answer.body)["error"]["code"] == "draining"


@pytest.mark.usefixtures("signals")
def test_a_request_whose_body_does_not_arrive_in_time_gets_503(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(draining, "GRACEFUL_SHUTDOWN_SECONDS", 0.01)
    with served(drain_seconds=0) as endpoint, endpoint.connect() as connection:
        connection.sendall(posting(False).replace(b"1.1", b"1.1\r\nexpect: 100-continue", 1)[:-1])
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 "), "the body is awaited"
        endpoint.server.handle_exit(signal.SIGTERM, None)
        answer = read(connection)
        endpoint.thread.join(BOUND)
    assert answer.status == 503
    assert b"retry-after: 1" in answer.head
    assert json.loads(answer.body)["error"]["code"] == "draining"
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.usefixtures("signals")
def test_without_running_requests_the_server_stops_at_once() -> None:
    with served(drain_seconds=10**6) as endpoint:
        assert endpoint.send(CLOSING).status == 200
        endpoint.server.handle_exit(signal.SIGTERM, None)
        endpoint.thread.join(BOUND)
        assert not endpoint.thread.is_alive()
        assert endpoint.service.closed


@pytest.mark.usefixtures("signals")
def test_idle_connections_are_closed_at_once_when_the_server_stops() -> None:
    with served(drain_seconds=10**6, keep_alive_seconds=10**6) as endpoint:
        with endpoint.connect() as idle:
            idle.sendall(GET)
            assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")
            endpoint.server.handle_exit(signal.SIGTERM, None)
            assert read(idle).status == 0
        endpoint.thread.join(BOUND)
        assert not endpoint.thread.is_alive()


def test_the_keep_alive_time_is_a_setting() -> None:
    with served() as endpoint:
        assert endpoint.server.config.timeout_keep_alive == 75
    with served(keep_alive_seconds=90) as endpoint:
        assert endpoint.server.config.timeout_keep_alive == 90


@pytest.mark.usefixtures("signals")
def test_the_second_signal_has_its_default_action() -> None:
    for number in HANDLED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    with served() as endpoint:
        endpoint.server.handle_exit(signal.SIGINT, None)
        found = {signal.getsignal(number) for number in HANDLED_SIGNALS}
    assert found == {signal.SIG_DFL}


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path, ssl.SSLContext]:
    """A certificate with its key, and a client's context that trusts it."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return cert, key, context


def test_a_certificate_enables_tls(certificate: tuple[Path, Path, ssl.SSLContext]) -> None:
    *files, context = certificate
    with served(tls=(files[0], files[1])) as endpoint:
        with (
            endpoint.connect() as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(CLOSING)
            assert read(connection).status == 200
        assert endpoint.send(CLOSING).status == 0


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "a part"])
def test_an_unfinished_tls_handshake_ends_after_the_receive_time(
    sent: bytes,
    certificate: tuple[Path, Path, ssl.SSLContext],
    caplog: pytest.LogCaptureFixture,
) -> None:
    cert, key, _context = certificate
    with (
        served(tls=(cert, key), receive_seconds=0.05) as endpoint,
        endpoint.connect() as connection,
    ):
        connection.sendall(sent)
        assert read(connection).status == 0, "closed long before the test ends"
    assert not any(record.exc_info for record in caplog.records)

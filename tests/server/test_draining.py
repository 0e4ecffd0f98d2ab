"""Graceful shutdown, and TLS."""

import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from uvicorn.server import HANDLED_SIGNALS

from tests.http.scripted import BOUND, steps
from tests.server.served import CLOSING, Served, closing, posting, read, served


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
def test_without_running_requests_the_server_stops_at_once() -> None:
    with served(drain_seconds=10**6) as endpoint:
        assert endpoint.send(CLOSING).status == 200
        endpoint.server.handle_exit(signal.SIGTERM, None)
        endpoint.thread.join(BOUND)
        assert not endpoint.thread.is_alive()
        assert endpoint.service.closed


@pytest.mark.usefixtures("signals")
def test_the_second_signal_has_its_default_action() -> None:
    for number in HANDLED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    with served() as endpoint:
        endpoint.server.handle_exit(signal.SIGINT, None)
        found = {signal.getsignal(number) for number in HANDLED_SIGNALS}
    assert found == {signal.SIG_DFL}


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────


def test_a_certificate_enables_tls(tmp_path: Path) -> None:
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

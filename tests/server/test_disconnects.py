"""Clients that disconnect, in every phase of a request: nothing is logged with a traceback."""

import socket

import pytest

from tests.contract.live import abort
from tests.http.scripted import BOUND, steps
from tests.server.served import CLOSING, LINE, Served, posting, served

WHOLE, STREAM = posting(False), posting(True)


def after(endpoint: Served, phase: str) -> socket.socket:
    """Returns a connection on which a request has come this far."""
    connection = endpoint.connect()
    sent = {
        "connected": b"",
        "headers": WHOLE[:20],
        "body": WHOLE[:-5],
        "whole": WHOLE,
        "stream": STREAM,
        "rejected": b"POST /x HTTP/1.1\r\nhost: here\r\ncontent-length: 9000000"
        + LINE
        + b"x" * 100_000,
    }[phase]
    connection.sendall(sent)
    if phase in ("whole", "stream"):
        assert endpoint.service.submitted.wait(BOUND)
    if phase == "stream":
        endpoint.service.scripted.deliver(steps("a"))
        assert connection.recv(65536)
    return connection


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("phase", ["connected", "headers", "body", "whole", "stream", "rejected"])
def test_a_disconnect_logs_no_traceback(
    phase: str, is_reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with served() as endpoint:
        connection = after(endpoint, phase)
        if is_reset:
            abort(connection)
        else:
            connection.close()
        if phase in ("whole", "stream"):
            assert endpoint.service.cancelled.wait(BOUND)
        assert endpoint.send(CLOSING).status == 200
    assert not any(record.exc_info for record in caplog.records)

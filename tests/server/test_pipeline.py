"""Pipelined requests of one connection: served in order, and limited in number."""

import json
from collections.abc import Callable

import pytest

from friendli_endpoint.server.pipeline import MAX_WAITING
from tests.http.clock import ShiftedLoop, run_shifted, until
from tests.http.scripted import VALID, steps
from tests.server.connected import Connected
from tests.server.served import CLOSING, LINE, posting, read, served

BODY = json.dumps(VALID).encode()


def get(number: int) -> bytes:
    return f"GET /health HTTP/1.1\r\nhost: here\r\nx-request-id: id-{number}-\r\n\r\n".encode()


def head(number: int) -> bytes:
    return get(number).replace(b"GET", b"HEAD")


def sized(number: int) -> bytes:
    """A request of the tokenize route, whose body is needed."""
    body = b'{"model": "m", "prompt": "a"}'
    lines = f"x-request-id: id-{number}-\r\ncontent-type: application/json"
    lines += f"\r\ncontent-length: {len(body)}"
    return f"POST /dedicated/v1/tokenize HTTP/1.1\r\nhost: here\r\n{lines}".encode() + LINE + body


def chunked(number: int) -> bytes:
    """The same request in chunks, with a chunk extension and a trailer."""
    start, _, body = sized(number).partition(LINE)
    start = start.rpartition(b"\r\n")[0] + b"\r\ntransfer-encoding: chunked"
    return start + LINE + b"%x;a=b\r\n" % len(body) + body + b"\r\n0\r\nx-last: 1\r\n\r\n"


KINDS = [get, head, sized, chunked]
FLOODS = [b"GET /x HTTP/1.1\r\nhost: here\r\n\r\n", *(kind(0) for kind in KINDS)]


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood[:24].decode())
@pytest.mark.parametrize("first", [False, True], ids=["alone", "behind a stream"])
def test_too_many_pipelined_requests_close_the_connection(flood: bytes, first: bool) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        if first:
            connected.connection.data_received(posting(True))
            await connected.service.scripted.submitted.wait()
        connected.connection.data_received(flood * 5_000)
        assert connected.transport.closed
        assert len(connected.connection.pipeline) == MAX_WAITING + 1
        connected.connection.connection_lost(None)
        assert len(connected.connection.pipeline) == 0
        await until(lambda: connected.body_memory.num_bytes == 0)
        await until(lambda: not first or connected.service.scripted.cancelled)

    run_shifted(scenario)


def test_requests_behind_connection_close_are_discarded() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        connected.connection.data_received(CLOSING * 5_000)
        assert len(connected.connection.pipeline) == 0
        await until(lambda: connected.transport.closed)
        assert connected.transport.written.count(b"HTTP/1.1 200 ") == 1
        connected.connection.connection_lost(None)

    run_shifted(scenario)


def test_a_flooding_client_that_reads_nothing_is_disconnected() -> None:
    with served() as endpoint, endpoint.connect() as connection, pytest.raises(OSError):
        for _ in range(10_000):
            connection.sendall(b"GET /x HTTP/1.1\r\nhost: here\r\n\r\n" * 1_000)


@pytest.mark.parametrize("together", [True, False], ids=["in one read", "in two"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_pipelined_requests_are_served_in_order_with_reading_paused(
    stream: bool, together: bool
) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        transport, scripted = connected.transport, connected.service.scripted
        behind = b"".join(KINDS[n % 4](n) for n in range(MAX_WAITING))
        if together:
            connected.connection.data_received(posting(stream) + behind)
        else:
            connected.connection.data_received(posting(stream))
            await scripted.submitted.wait()
            connected.connection.data_received(behind)
        await scripted.submitted.wait()
        for _ in range(20):
            await until(lambda: True)
            assert not transport.reads
        scripted.deliver(steps("a", finish=True))
        await until(lambda: transport.written.count(b"HTTP/1.1 ") == MAX_WAITING + 1)
        places = [transport.written.index(b"id-%d-" % n) for n in range(MAX_WAITING)]
        assert places == sorted(places)
        assert transport.written.count(b"HTTP/1.1 200 ") == 1 + MAX_WAITING
        await until(lambda: transport.reads)
        assert connected.body_memory.num_bytes == 0
        await connected.until_closed()

    run_shifted(scenario)


@pytest.mark.parametrize("cut", [1, 40, 83, 84, 120])
def test_the_late_body_of_a_pipelined_request_is_read(cut: int) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        last = chunked(1)
        connected.connection.data_received(get(0) + last[:cut])
        await until(lambda: connected.transport.reads and b"id-0-" in connected.transport.written)
        connected.connection.data_received(last[cut:])
        await until(lambda: b"id-1-" in connected.transport.written)
        assert connected.transport.written.count(b"HTTP/1.1 200 ") == 2
        await connected.until_closed()

    run_shifted(scenario)


@pytest.mark.parametrize("behind", [get(1), get(1)[:-2], sized(1)[:-3], chunked(1)])
def test_a_disconnect_with_a_waiting_request_cancels_the_running_one(behind: bytes) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        connected.connection.data_received(posting(False) + behind)
        await connected.service.scripted.submitted.wait()
        connected.transport.closed = True
        connected.connection.connection_lost(None)
        await until(lambda: connected.service.scripted.cancelled)
        assert connected.body_memory.num_bytes == 0

    run_shifted(scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_pipelined_requests_on_a_real_connection_are_served_in_order(
    kind: Callable[[int], bytes],
) -> None:
    with served() as endpoint, endpoint.connect() as connection:
        connection.sendall(b"".join(map(kind, range(MAX_WAITING))) + CLOSING)
        answer = read(connection)
    text = answer.head + LINE + answer.body
    places = [text.index(b"id-%d-" % n) for n in range(MAX_WAITING)]
    assert places == sorted(places)
    assert text.count(b"HTTP/1.1 ") == MAX_WAITING + 1

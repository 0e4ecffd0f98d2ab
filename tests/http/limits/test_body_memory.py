"""Limits over all connections: the memory for request bodies, and the number of connections."""

import asyncio
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from friendli_endpoint.access import policy_of
from friendli_endpoint.http.limits.body_memory import BodyMemoryBudget
from friendli_endpoint.server import connection
from friendli_endpoint.settings import Settings
from tests.http.clock import ShiftedLoop, run_shifted, until
from tests.http.scripted import (
    BOUND,
    COMPLETIONS,
    VALID,
    Call,
    ScriptedService,
    check_error,
    run,
    scripted_app,
    steps,
)
from tests.server.connected import Connected
from tests.server.served import CLOSING, GET, LINE, Reading, Served, closing, posting, read, served

BODY = json.dumps(VALID).encode()


def head_of(num_bytes: int, path: str = COMPLETIONS) -> bytes:
    """Returns the head of a request with a body of `num_bytes` bytes."""
    lines = f"content-type: application/json\r\ncontent-length: {num_bytes}"
    return f"POST {path} HTTP/1.1\r\nhost: here\r\n{lines}".encode() + LINE


def check_503(answer: Reading, code: str) -> None:
    assert answer.status == 503
    assert json.loads(answer.body)["error"]["code"] == code
    for header in (b"retry-after: 1", b"x-request-id: ", b"connection: close"):
        assert header in answer.head


# ── bodies ───────────────────────────────────────────────────────────────────────────────────


def test_a_body_beyond_the_memory_for_all_bodies_gets_503() -> None:
    with served(max_body_memory=10_000) as endpoint, ExitStack() as stack:
        for number in range(1, 4):
            unfinished = stack.enter_context(endpoint.connect())
            unfinished.sendall(head_of(4_000) + b" " * 3_000)
            wait_until(lambda number=number: endpoint.body_memory.num_bytes == number * 3_000)
        check_503(endpoint.send(head_of(2_000) + b" " * 1_999), "body_memory_full")
        assert endpoint.send(CLOSING).status == 200
        assert endpoint.body_memory.num_bytes == 9_000
        stack.close()
        wait_until(lambda: endpoint.body_memory.num_bytes == 0)
        endpoint.service.error = ValueError("it arrived")
        assert endpoint.send(closing(posting(False))).status == 500
        assert endpoint.body_memory.num_bytes == 0


def wait_until(condition: Any) -> None:
    """Waits until another thread makes a condition true; pytest's timeout limits it."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.005)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (head_of(len(BODY)) + BODY[:-1], 408),
        (head_of(1_000_000, "/nowhere") + b" " * 5_000, 404),
        (head_of(5_000, "/nowhere") + b" " * 5_000, 404),
        (head_of(20_000) + b" " * 5_000, 413),
        (head_of(5) + b"{{{{{", 400),
        (head_of(2) + b"{}", 422),
        (head_of(0), 400),
        (posting(False), 500),
        (
            head_of(0).replace(b"content-length: 0", b"transfer-encoding: chunked")
            + b"4000\r\n"
            + b" " * 0x4000,
            413,
        ),
    ],
)
def test_the_memory_of_a_body_is_released_after_every_outcome(sent: bytes, status: int) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        connected.service.error = ValueError("it arrived")
        connected.connection.data_received(sent)
        assert (connected.body_memory.num_bytes == 0) == sent.endswith(LINE)
        if status == 408:
            await until(lambda: connected.transport.written, connected.pass_time)
        await until(lambda: b"HTTP/1.1 %d " % status in connected.transport.written)
        await until(lambda: connected.body_memory.num_bytes == 0)
        await connected.until_closed()
        assert connected.body_memory.num_bytes == 0

    run_shifted(scenario)


@pytest.mark.parametrize("sent", [b"", b"{", BODY[:-1]])
def test_the_memory_of_a_body_is_released_when_the_client_disconnects(sent: bytes) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        connected.connection.data_received(head_of(len(BODY)) + sent)
        assert connected.body_memory.num_bytes == len(sent)
        connected.transport.closed = True
        connected.connection.connection_lost(None)
        await until(lambda: connected.body_memory.num_bytes == 0)

    run_shifted(scenario)


@pytest.mark.parametrize("num_waiting", [0, 1])
def test_reading_a_body_stops_when_the_memory_is_full(num_waiting: int) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop, max_memory=1_000)
        connected.connection.data_received(GET * num_waiting + head_of(9_000) + b" " * 4_000)
        assert connected.body_memory.num_bytes == 0
        assert not connected.transport.reads
        await until(lambda: connected.transport.closed)
        _, _, last = connected.transport.written.rpartition(b"HTTP/1.1 ")
        assert last.startswith(b"503 ") and b"connection: close" in last
        connected.connection.connection_lost(None)

    run_shifted(scenario)


def test_the_application_counts_bodies_if_the_server_does_not() -> None:
    async def scenario() -> None:
        body_memory = BodyMemoryBudget(1_000)
        app = scripted_app(ScriptedService(), body_memory=body_memory)
        async with Call(app, "POST", COMPLETIONS, body=[b" " * 600] * 5) as call:
            await call.done()
        assert check_error(call, 503)["code"] == "body_memory_full"
        assert call.header("retry-after") == "1"
        assert call.header("connection") == "close"
        assert (call.chunks_read, body_memory.num_bytes) == (2, 0)

    run(scenario)


@pytest.mark.parametrize("is_late", [True, False], ids=["timed out", "parsed"])
def test_a_body_that_waits_for_a_thread_is_counted(is_late: bool) -> None:
    unblock = threading.Event()

    async def scenario(loop: ShiftedLoop) -> None:
        loop.set_default_executor(ThreadPoolExecutor(1))
        blocked = loop.run_in_executor(None, unblock.wait, BOUND)
        connected = Connected(loop, answer_seconds=60)
        connected.connection.data_received(posting(True))
        for _ in range(50):
            await asyncio.sleep(0)
            assert connected.body_memory.num_bytes > len(VALID)
        if is_late:
            loop.shift += 61
            await until(lambda: b"HTTP/1.1 504 " in connected.transport.written)
            await until(lambda: connected.body_memory.num_bytes == 0)
        unblock.set()
        await blocked
        if not is_late:
            await connected.service.scripted.submitted.wait()
            assert connected.body_memory.num_bytes == 0, "its memory is not released after parsing"
            connected.service.scripted.deliver(steps("a", finish=True))
            await until(lambda: b"[DONE]" in connected.transport.written)
        assert bool(connected.service.prepared) is not is_late
        await connected.until_closed()
        assert connected.body_memory.num_bytes == 0

    run_shifted(scenario)


@pytest.mark.parametrize("max_body", [1024, 8 << 20])
def test_the_memory_is_always_enough_for_a_single_body_and_its_decoded_form(max_body: int) -> None:
    body_memory = policy_of(Settings(max_body=max_body, max_body_memory=1024)).body_memory
    assert body_memory.reserve(max_body)
    assert body_memory.reserve(max_body)
    assert not body_memory.reserve(2 << 20)
    body_memory.release(2 * max_body)
    assert body_memory.num_bytes == 0


# ── connections ──────────────────────────────────────────────────────────────────────────────


def idle(endpoint: Served, stack: ExitStack, number: int) -> list[socket.socket]:
    """Opens connections that have received a response and stay open."""
    opened = []
    for _ in range(number):
        opened.append(stack.enter_context(endpoint.connect()))
        opened[-1].sendall(GET)
        assert b" 200 " in opened[-1].recv(65536)
    return opened


def test_beyond_max_connections_only_probes_are_served() -> None:
    with served(max_connections=2) as endpoint, ExitStack() as stack:
        opened = idle(endpoint, stack, 2)
        check_503(endpoint.send(CLOSING.replace(b"/health", b"/nowhere")), "too_many_connections")
        check_503(endpoint.send(closing(posting(False))), "too_many_connections")
        assert endpoint.body_memory.num_bytes == 0
        assert endpoint.send(CLOSING).status == 200
        assert endpoint.send(CLOSING.replace(b"/health", b"/live")).status == 200
        opened[0].close()
        wait_until(lambda: len(endpoint.server.server_state.connections) == 1)
        assert endpoint.send(CLOSING.replace(b"/health", b"/nowhere")).status == 404


def test_far_beyond_max_connections_a_connection_is_closed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "SPARE_CONNECTIONS", 1)
    with served(max_connections=1) as endpoint, ExitStack() as stack:
        idle(endpoint, stack, 2)
        with endpoint.connect() as third:
            check_503(read(third), "too_many_connections")


def test_silent_connections_count_and_are_closed_after_the_timeout() -> None:
    with served(max_connections=1, receive_seconds=0.05) as endpoint, endpoint.connect() as silent:
        assert read(silent).status == 0
        wait_until(lambda: not endpoint.server.server_state.connections)
        assert endpoint.send(CLOSING.replace(b"/health", b"/nowhere")).status == 404

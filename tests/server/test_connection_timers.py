"""Timers of a connection, on a clock that the test controls: slow, silent and endless clients."""

import json
from functools import partial

import pytest

from tests.http.clock import ShiftedLoop, run_shifted, until
from tests.http.scripted import steps
from tests.server.connected import KEEP_ALIVE, SECONDS, Connected
from tests.server.served import GET, LINE, posting

LARGE = b"POST /nowhere HTTP/1.1\r\nhost: here\r\ncontent-length: 90000\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"G", "headers_too_slow"),
        (GET[:-2], "headers_too_slow"),
        (GET.replace(b"here", b"x" * 60_000)[:-2], "headers_too_slow"),
        (posting(False)[:-1], "body_too_slow"),
        (posting(False).partition(LINE)[0] + LINE, "body_too_slow"),
    ],
    ids=["a byte", "no end of the headers", "long headers", "no end of the body", "no body"],
)
def test_a_slow_request_gets_408(sent: bytes, code: str) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        connected.connection.data_received(sent)
        head, _, body = (await connected.until_closed()).partition(LINE)
        assert head.startswith(b"HTTP/1.1 408 ")
        assert json.loads(body)["error"]["code"] == code
        assert b"x-request-id: " in head
        assert b"connection: close" in head

    run_shifted(scenario)


def test_a_silent_connection_is_closed() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        assert await Connected(loop).until_closed() == b""

    run_shifted(scenario)


def test_the_second_request_of_a_connection_has_its_own_timeout() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        loop.shift += SECONDS - 1
        connected.connection.data_received(GET)
        await until(lambda: b"ready" in connected.transport.written)
        connected.connection.data_received(b"GET /he")
        loop.shift += SECONDS - 1
        await until(lambda: True)
        assert not connected.transport.closed
        assert b"headers_too_slow" in await connected.until_closed()

    run_shifted(scenario)


def has_responses(connected: Connected, number: int) -> bool:
    return connected.transport.written.count(b"HTTP/1.1 ") == number


@pytest.mark.parametrize("request_", [GET, b"GET /nowhere HTTP/1.1\r\nhost: here\r\n\r\n"])
def test_an_idle_connection_stays_open_for_the_keep_alive_time(request_: bytes) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        for number in (1, 2, 3):
            connected.connection.data_received(request_)
            await until(partial(has_responses, connected, number))
            loop.shift += KEEP_ALIVE - 5
            for _ in range(5):
                await until(lambda: True)
            assert not connected.transport.closed
        loop.shift += 6
        await until(lambda: connected.transport.closed)
        connected.connection.connection_lost(None)

    run_shifted(scenario)


def test_an_incomplete_pipelined_request_does_not_disturb_the_response() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        connected.connection.data_received(posting(True) + b"GET /he")
        scripted = connected.service.scripted
        await scripted.submitted.wait()
        for text in ("one", "two"):
            connected.pass_time()
            scripted.deliver(steps(text))
            await connected.until_written(text.encode())
        scripted.deliver(steps("end", finish=True))
        await until(lambda: b"[DONE]" in connected.transport.written)
        assert b"408" not in connected.transport.written
        await connected.until_closed()

    run_shifted(scenario)


def test_a_stalled_client_is_disconnected_after_the_timeout() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        connected.connection.data_received(posting(True))
        await connected.service.scripted.submitted.wait()
        connected.connection.pause_writing()
        loop.shift += SECONDS - 1
        connected.connection.resume_writing()
        connected.connection.pause_writing()
        loop.shift += SECONDS - 1
        await until(lambda: True)
        assert not connected.transport.closed
        await connected.until_closed()
        await until(lambda: connected.service.scripted.cancelled)
        assert connected.service.scripted.cancelled == ["chatcmpl-1"]

    run_shifted(scenario)


@pytest.mark.parametrize(
    ("chunks", "rejected"),
    [
        ([GET[:-2], *[b"a: b\r\n" * 1000] * 11], True),
        ([GET[:-2], *[b"x" * 1000] * 66], True),
        ([GET[:-2], *[b"x" * 1000] * 65], False),
        ([LARGE, b"x" * 90_000], False),
        ([LARGE, b"x" * 90_000 + b"G"], False),
    ],
    ids=["many", "one", "large ones", "a body", "a body and another request"],
)
def test_endless_headers_get_431(chunks: list[bytes], rejected: bool) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        for chunk in chunks:
            connected.connection.data_received(chunk)
        connected.connection.connection_lost(None)
        written = connected.transport.written
        assert written.startswith(b"HTTP/1.1 431 ") == rejected
        assert (b'"headers_too_large"' in written) == rejected

    run_shifted(scenario)


@pytest.mark.parametrize("sent", [b"\r\n", b"\r\n\r\n"])
def test_empty_lines_after_a_response_do_not_keep_a_connection_open(sent: bytes) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        connected.connection.data_received(GET)
        await until(lambda: b"ready" in connected.transport.written)
        connected.connection.data_received(sent)
        await connected.until_closed()

    run_shifted(scenario)


TRAILED = b"POST /nowhere HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "chunks",
    [
        [GET[:-2] + b"a:\r\n" * 258],
        [GET[:-2], *[b"a:\r\n"] * 258],
        [posting(True).partition(LINE)[0] + LINE, *[b"x"] * 5, b"GET", GET[3:-2] + b"a:\r\n" * 258],
        [TRAILED + b"0\r\n" + b"a:\r\n" * 258],
        [TRAILED + b"0\r\na: ", *[b"x" * 10_000] * 7],
        [TRAILED + b"1;", *[b"x" * 10_000] * 7],
    ],
    ids=["in one", "one by one", "second", "trailers", "a long trailer", "a chunk extension"],
)
def test_headers_trailers_and_chunk_extensions_are_limited(chunks: list[bytes]) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        for chunk in chunks:
            if not connected.transport.closed:
                connected.connection.data_received(chunk)
        assert connected.transport.closed
        connected.connection.connection_lost(None)

    run_shifted(scenario)

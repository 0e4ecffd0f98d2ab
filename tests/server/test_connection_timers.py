"""A connection and its timers, on a clock of the test's own: slow, silent and endless clients."""

import json

import pytest

from tests.http.clock import ShiftedLoop, run_shifted, until
from tests.http.scripted import steps
from tests.server.connected import SECONDS, Connected
from tests.server.served import GET, LINE, posting

LARGE = b"POST /nowhere HTTP/1.1\r\ncontent-length: 90000\r\n\r\n"


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
def test_a_slow_request_is_408(sent: bytes, code: str) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        connected.connection.data_received(sent)
        head, _, body = (await connected.until_closed()).partition(LINE)
        assert head.startswith(b"HTTP/1.1 408 ")
        assert json.loads(body)["error"]["code"] == code
        assert b"x-request-id: " in head
        assert b"connection: close" in head

    run_shifted(scenario)


def test_a_connection_that_says_nothing_is_closed() -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        assert await Connected(loop).until_closed() == b""

    run_shifted(scenario)


def test_the_second_request_of_a_connection_has_its_own_time() -> None:
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


def test_half_a_request_behind_another_does_not_disturb_its_answer() -> None:
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


def test_a_client_that_reads_nothing_is_dropped_when_its_time_is_over() -> None:
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
    ("pieces", "refused"),
    [
        ([GET[:-2], *[b"a: b\r\n" * 1000] * 11], True),
        ([GET[:-2], *[b"x" * 1000] * 66], True),
        ([GET[:-2], *[b"x" * 1000] * 65], False),
        ([LARGE, b"x" * 90_000], False),
        ([LARGE, b"x" * 90_000 + b"G"], False),
    ],
    ids=["many", "one", "large ones", "a body", "a body and another request"],
)
def test_endless_headers_are_431(pieces: list[bytes], refused: bool) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        for piece in pieces:
            connected.connection.data_received(piece)
        connected.connection.connection_lost(None)
        written = connected.transport.written
        assert written.startswith(b"HTTP/1.1 431 ") == refused
        assert (b'"headers_too_large"' in written) == refused

    run_shifted(scenario)


@pytest.mark.parametrize("sent", [b"\r\n", b"\r\n\r\n"])
def test_empty_lines_after_an_answer_do_not_keep_a_connection(sent: bytes) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        connected.connection.data_received(GET)
        await until(lambda: b"ready" in connected.transport.written)
        connected.connection.data_received(sent)
        await connected.until_closed()

    run_shifted(scenario)


@pytest.mark.parametrize("last", [GET, posting(False)], ids=["GET", "POST"])
def test_after_a_request_to_upgrade_the_connection_is_closed(last: bytes) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        asked = b"HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c"
        connected.connection.data_received(last.replace(b"HTTP/1.1", asked, 1))
        await until(lambda: connected.transport.closed)
        assert b"connection: close" in connected.transport.written
        connected.connection.connection_lost(None)

    run_shifted(scenario)


TRAILED = b"POST /nowhere HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
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
def test_headers_trailers_and_chunk_extensions_are_bounded(pieces: list[bytes]) -> None:
    async def scenario(loop: ShiftedLoop) -> None:
        connected = Connected(loop)
        for piece in pieces:
            if not connected.transport.closed:
                connected.connection.data_received(piece)
        assert connected.transport.closed
        connected.connection.connection_lost(None)

    run_shifted(scenario)

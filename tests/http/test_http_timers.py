"""A connection and its timers, on a clock of the test's own: slow, silent and endless clients."""

import json

import pytest
import uvicorn
from uvicorn.server import ServerState

from friendli_endpoint.http.connection import Connection, connection_type
from friendli_endpoint.http.held import BodyMemory

from .clock import ShiftedLoop, run_shifted, until
from .scripted import ScriptedService, scripted_app, steps
from .served import GET, LINE, posting

SECONDS = 30.0
LARGE = b"POST /nowhere HTTP/1.1\r\ncontent-length: 90000\r\n\r\n"


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

    abort = close

    def pause_reading(self) -> None:
        """Nothing comes unless the test sends it."""

    resume_reading = pause_reading


class Connected:
    """A connection of an application to a client that the test plays."""

    def __init__(self, loop: ShiftedLoop) -> None:
        self.service = ScriptedService()
        self.transport = Transport()
        app = scripted_app(self.service, receive_seconds=SECONDS)
        kind = connection_type(
            receive_seconds=SECONDS,
            stall_seconds=SECONDS,
            max_connections=1,
            bodies=BodyMemory(),
        )
        config = uvicorn.Config(app, log_config=None)
        self.connection: Connection = kind(config, ServerState(), {}, loop)
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]
        self._loop = loop

    def pass_time(self) -> None:
        self._loop.shift += SECONDS + 1

    async def until_closed(self) -> bytes:
        """Lets time pass until the connection is closed; gives what was written."""
        await until(lambda: self.transport.closed, self.pass_time)
        self.connection.connection_lost(None)
        return self.transport.written


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
            await until(lambda text=text: text.encode() in connected.transport.written)
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

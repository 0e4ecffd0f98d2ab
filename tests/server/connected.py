"""A connection without a socket, on a clock that the test controls."""

from typing import Any

import uvicorn
from uvicorn.server import ServerState

from friendli_endpoint.http.limits.body_memory import BodyMemoryBudget
from friendli_endpoint.server.connection import Connection, connection_type
from tests.http.clock import ShiftedLoop, until
from tests.http.scripted import ScriptedService, scripted_app

SECONDS = 30.0
KEEP_ALIVE = 75
"""Seconds for which an idle connection stays open; more than `SECONDS`."""


class Transport:
    """A transport that records the written bytes; a test passes received bytes to the protocol."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False
        self.reads = True

    def get_extra_info(self, _name: str) -> None:
        return None

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        assert self.reads
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.reads
        self.reads = True


class Connected:
    """A connection of a scripted application, with the test as its client."""

    def __init__(self, loop: ShiftedLoop, max_memory: int = 1 << 20, **policy: Any) -> None:
        self.body_memory = BodyMemoryBudget(max_memory)
        self.service = ScriptedService()
        self.transport = Transport()
        app = scripted_app(
            self.service, receive_seconds=SECONDS, body_memory=self.body_memory, **policy
        )
        kind = connection_type(
            receive_seconds=SECONDS,
            stall_seconds=SECONDS,
            max_connections=1,
            body_memory=self.body_memory,
        )
        config = uvicorn.Config(app, log_config=None, timeout_keep_alive=KEEP_ALIVE)
        self.connection: Connection = kind(config, ServerState(), {}, loop)
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]
        self._loop = loop

    def pass_time(self) -> None:
        self._loop.shift += SECONDS + 1

    async def until_written(self, text: bytes) -> None:
        """Runs the application until this text has been written."""
        await until(lambda: text in self.transport.written)

    async def until_closed(self) -> bytes:
        """Lets time pass until the connection is closed; returns the written bytes."""
        await until(lambda: self.transport.closed, self.pass_time)
        self.connection.connection_lost(None)
        return self.transport.written

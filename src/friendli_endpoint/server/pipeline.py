"""Requests that share a connection: how many may wait, and how much of them is held."""

import asyncio
import logging
from collections.abc import Sized

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from friendli_endpoint.http.limits.body_memory import BodyMemory, HeldBody

__all__ = ["PipelineProtocol", "StopParsingError"]

log = logging.getLogger("friendli_endpoint.http")

MAX_WAITING = 16
"""Requests that may wait on one connection: one read of 256 KiB holds thousands."""


class PipelineFlow(FlowControl):
    """uvicorn's flow control, which would read on whenever a request ends or asks for its body.

    Args:
        transport: Of the connection.
        waiting: The requests that wait for an earlier one; while there are any, nothing is read.
    """

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """Reads on, if no request waits."""
        if not self._waiting:
            super().resume_reading()


class StopParsingError(Exception):
    """Ends the parsing of the bytes that have arrived; the connection is closed by then."""


class PipelineProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds on the requests that wait, and on the bodies of all.

    Attributes:
        bodies: Where the bytes of bodies are counted as they arrive.
    """

    bodies: BodyMemory

    _running: RequestResponseCycle | None = None
    _body: HeldBody

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to read."""
        super().connection_made(transport)
        self.flow = PipelineFlow(transport, self.pipeline)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the request that runs; uvicorn tells the last one only."""
        for cycle, _app in self.pipeline:
            cycle.scope["state"]["body"].close()
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """Starts the request, or has it wait for those before it."""
        self._body = self.scope["state"]["body"] = HeldBody(self.bodies)
        num_waiting = len(self.pipeline)
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False  # nothing is parsed after it
        if len(self.pipeline) == num_waiting:
            self._running = self.cycle
        elif len(self.pipeline) > MAX_WAITING:
            log.info("dropped a client with more than %d requests waiting", MAX_WAITING)
            self.transport.abort()
            raise StopParsingError

    def on_body(self, body: bytes) -> None:
        """Takes a part of a body if there is memory; the application hears where there is none."""
        if self.cycle.response_complete:
            return
        if self._body.count(len(body)):
            super().on_body(body)
        else:
            self.flow.pause_reading()
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Starts the next request that waits."""
        if self.pipeline:
            self._running = self.pipeline[-1][0]
        super().on_response_complete()

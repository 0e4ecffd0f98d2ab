"""Pipelined requests of one connection: limits on their number and on the memory of bodies."""

import asyncio
import logging
from collections.abc import Sized

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from friendli_endpoint.http.limits.body_memory import BodyMemoryBudget, BufferedBody
from friendli_endpoint.server.protocol import HTTPProtocol

__all__ = ["PipelineProtocol", "StopParsingError"]

log = logging.getLogger("friendli_endpoint.http")

MAX_WAITING = 16
"""Maximum number of waiting requests on one connection: one read of 256 KiB contains thousands."""


class PipelineFlow(FlowControl):
    """uvicorn's flow control, except that nothing is read while requests are waiting.

    uvicorn's own would resume reading whenever a request ends or asks for its body.

    Args:
        transport: Transport of the connection.
        waiting: The requests that wait for an earlier one.
    """

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """Resumes reading if no request is waiting."""
        if not self._waiting:
            super().resume_reading()


class StopParsingError(Exception):
    """Stops parsing the bytes that have arrived; the connection has been closed."""


class PipelineProtocol(HTTPProtocol):
    """The protocol with limits on waiting requests and on the memory of bodies.

    Attributes:
        body_memory: Budget that the bytes of bodies are reserved in as they arrive.
    """

    body_memory: BodyMemoryBudget

    _running: RequestResponseCycle | None = None
    _body: BufferedBody

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Installs the flow control of the connection."""
        super().connection_made(transport)
        self.flow = PipelineFlow(transport, self.pipeline)

    def connection_lost(self, exc: Exception | None) -> None:
        """Disconnects the running request; uvicorn disconnects only the last one."""
        for cycle, _app in self.pipeline:
            cycle.scope["state"]["body"].close()
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """Starts the request, or queues it behind earlier ones."""
        self._body = self.scope["state"]["body"] = BufferedBody(self.body_memory)
        num_waiting = len(self.pipeline)
        super().on_headers_complete()
        if len(self.pipeline) == num_waiting:
            self._running = self.cycle
        elif len(self.pipeline) > MAX_WAITING:
            log.info("closed a connection with more than %d waiting requests", MAX_WAITING)
            self.transport.abort()
            raise StopParsingError

    def on_body(self, body: bytes) -> None:
        """Adds a chunk of a body, or without memory for it wakes the application to reject it."""
        if self.cycle.response_complete:
            return
        if self._body.reserve(len(body)):
            super().on_body(body)
        else:
            self.flow.pause_reading()
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Starts the next waiting request."""
        if self.pipeline:
            self._running = self.pipeline[-1][0]
        super().on_response_complete()

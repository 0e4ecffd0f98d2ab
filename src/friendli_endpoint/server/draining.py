"""A server that ends in order: nothing new, time for what runs, then a word to the rest."""

import asyncio
import signal
import socket
from types import FrameType
from typing import Any, Protocol

import uvicorn
from uvicorn.server import HANDLED_SIGNALS

from friendli_endpoint.http.limits.body_memory import BodyMemory
from friendli_endpoint.server.connection import connection_type
from friendli_endpoint.settings import Settings

__all__ = ["DrainingServer", "make_server"]

LOOK_SECONDS = 0.05
"""How often it is looked whether the last request has ended."""

FAREWELL_SECONDS = 3
"""How long answers that were cut short may take to say so."""


class Service(Protocol):
    """What is told that the end is near."""

    def drain(self) -> None:
        """Takes no more requests."""
        ...

    async def aclose(self) -> None:
        """Fails what still runs."""
        ...


def make_server(
    app: Any, service: Service, settings: Settings, bodies: BodyMemory
) -> "DrainingServer":
    """A server of an application, with the operator's bounds on connections.

    Args:
        app: An ASGI application.
        service: What it serves.
        settings: The operator's.
        bodies: Where the bytes of bodies are counted.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        http=connection_type(
            receive_seconds=settings.receive_seconds,
            stall_seconds=settings.stall_seconds,
            max_connections=settings.max_connections,
            bodies=bodies,
        ),
        ws="none",
        timeout_graceful_shutdown=FAREWELL_SECONDS,
    )
    return DrainingServer(config, service, settings.drain_seconds)


class DrainingServer(uvicorn.Server):
    """uvicorn's, which would stop listening at once and leave clients to guess.

    Args:
        config: uvicorn's; its own graceful time only has to cover the farewell.
        service: Told to take no more requests at the first signal, and to stop after the time.
        seconds: How long running requests may go on.
    """

    def __init__(self, config: uvicorn.Config, service: Service, seconds: float) -> None:
        super().__init__(config)
        self._service = service
        self._seconds = seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drains at the first signal; the second is the system's, which ends the process."""
        self._service.drain()
        for number in HANDLED_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answers 503 while running requests go on to their end; then ends."""
        self._service.drain()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        while self.server_state.tasks and not self.force_exit and loop.time() < deadline:
            await asyncio.wait(self.server_state.tasks, timeout=LOOK_SECONDS)
        await self._service.aclose()
        await super().shutdown(sockets)

"""Graceful shutdown: reject new requests, let running ones finish, then fail the rest."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, Protocol

import uvicorn
from uvicorn.server import HANDLED_SIGNALS

from friendli_endpoint.http.limits.body_memory import BodyMemoryBudget
from friendli_endpoint.server.connection import connection_type
from friendli_endpoint.settings import Settings

__all__ = ["DrainingServer", "make_config", "make_server"]

POLL_SECONDS = 0.05
"""Interval in seconds at which the server checks whether the last request has ended."""

GRACEFUL_SHUTDOWN_SECONDS = 3
"""Time that interrupted responses get to send an error, in seconds."""

STARTUP_FAILURE = 3
"""Exit code of uvicorn when the application cannot be started."""


class Drainable(Protocol):
    """A service that can be shut down in two steps."""

    def drain(self) -> None:
        """Rejects new requests from now on; running requests continue.

        Called from a signal handler and on the event loop, possibly more than once; must not block.
        """
        ...

    async def aclose(self) -> None:
        """Fails the running requests and frees the service.

        Awaited on the event loop after `drain`; may be called more than once.
        """
        ...


def make_config(
    app: Any,
    settings: Settings,
    body_memory: BodyMemoryBudget,
    graceful_seconds: int,
) -> uvicorn.Config:
    """Creates uvicorn's configuration, with the connection limits of the settings.

    Args:
        app: An ASGI application.
        settings: Settings of the endpoint.
        body_memory: Budget of the bytes of all request bodies.
        graceful_seconds: Time that interrupted responses get to send an error, in seconds.
    """
    return uvicorn.Config(
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
            body_memory=body_memory,
        ),
        ws="none",
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=graceful_seconds,
    )


def make_server(
    app: Any, service: Drainable, settings: Settings, body_memory: BodyMemoryBudget
) -> "DrainingServer":
    """Creates a server of an application, with the connection limits of the settings.

    Args:
        app: An ASGI application.
        service: The service behind the application.
        settings: Settings of the endpoint.
        body_memory: Budget of the bytes of all request bodies.
    """
    config = make_config(app, settings, body_memory, GRACEFUL_SHUTDOWN_SECONDS)
    return DrainingServer(config, service, settings.drain_seconds, settings.receive_seconds)


class DrainingServer(uvicorn.Server):
    """uvicorn's server, except that it keeps listening and responds 503 while requests finish.

    Args:
        config: uvicorn's configuration; its graceful timeout only has to cover the final errors.
        service: Drained at the first signal, and closed after `seconds`.
        seconds: Maximum time for running requests to finish, in seconds.
        handshake_seconds: Maximum time for a TLS handshake, and for a client to confirm the end of
            a TLS connection, in seconds.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        service: Drainable,
        seconds: float,
        handshake_seconds: float,
    ) -> None:
        super().__init__(config)
        self._service = service
        self._seconds = seconds
        self._handshake_seconds = handshake_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drains at the first signal; the second one has its default action, which exits."""
        self._service.drain()
        for number in HANDLED_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts the application, and accepts connections; uvicorn's own bounds no handshake."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        config, tls = self.config, dict[str, Any]()
        if config.ssl is not None:
            seconds = self._handshake_seconds
            tls = {"ssl_handshake_timeout": seconds, "ssl_shutdown_timeout": seconds}
        protocol: Callable[..., asyncio.Protocol] = config.http_protocol_class
        connection = partial(
            protocol,
            config=config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        create_server = partial(
            asyncio.get_running_loop().create_server,
            connection,
            ssl=config.ssl,
            backlog=config.backlog,
            **tls,
        )
        self.servers = [await create_server(sock=listener) for listener in sockets or ()]
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Responds 503 to new requests until the running ones have finished; then stops."""
        self._service.drain()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        while self.server_state.tasks and not self.force_exit and loop.time() < deadline:
            await asyncio.wait(self.server_state.tasks, timeout=POLL_SECONDS)
        await self._service.aclose()
        await super().shutdown(sockets)

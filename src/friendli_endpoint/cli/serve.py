"""`friendli-endpoint serve`: settings in, a server that runs until a signal."""

import asyncio
import contextlib
import logging
import signal
import socket
from typing import Any

import typer
import uvicorn
from rich.console import Console

from friendli_endpoint.app import EndpointService, StartError, create_app
from friendli_endpoint.cli.banner import show_banner
from friendli_endpoint.cli.complaint import CANNOT_START, complain, refuse
from friendli_endpoint.cli.flags import read_settings, with_settings
from friendli_endpoint.settings import Settings

__all__ = ["serve"]

FAREWELL_SECONDS = 3
"""How long answers that were cut short may take to say so."""


@with_settings
def serve(**flags: Any) -> None:
    """Load a model and answer until stopped.

    Every option can also be set in the environment, as FRIENDLI_ENDPOINT_MAX_SEQUENCES=4 does, or
    in a TOML file, as max_sequences = 4. A flag goes before a variable, and that before the file.
    """
    settings = read_settings(flags)
    _start_logging(settings.log_level)
    service = EndpointService(settings)
    try:
        service.check()
        listener = socket.create_server((settings.host, settings.port))
    except StartError as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}")
    raise typer.Exit(_run(service, settings, listener))


class _Server(uvicorn.Server):
    """A server that drains: after the given time, what still runs is told that it will not end."""

    def __init__(self, config: uvicorn.Config, service: EndpointService, seconds: float) -> None:
        super().__init__(config)
        self._service = service
        self._seconds = seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Waits for the requests that run."""
        draining = asyncio.ensure_future(self._drain())
        await super().shutdown(sockets)
        draining.cancel()

    async def _drain(self) -> None:
        await asyncio.sleep(self._seconds)
        await asyncio.to_thread(self._service.close)


def _run(service: EndpointService, settings: Settings, listener: socket.socket) -> int:
    """Serves on a bound socket until a signal; answers the exit code."""
    failure: list[StartError] = []
    address = "http://{}:{}".format(*listener.getsockname()[:2])

    def ready() -> None:
        embedded = service.embedded
        if embedded is not None:
            room = embedded.capacity
            show_banner(Console(), embedded.name, address, room.sequences, room.context)

    def failed(error: StartError) -> None:
        failure.append(error)
        server.should_exit = True

    config = uvicorn.Config(
        create_app(service, settings, ready=ready, failed=failed),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_seconds + FAREWELL_SECONDS,
    )
    server = _Server(config, service, settings.drain_seconds)
    # When it has stopped, the server raises the signal once more: both are then an interrupt.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    if failure:
        complain(str(failure[0]))
        return CANNOT_START
    return 0


def _start_logging(level: str) -> None:
    known = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=known, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, known))

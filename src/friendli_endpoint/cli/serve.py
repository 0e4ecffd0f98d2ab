"""`friendli-endpoint serve`: settings in, a server that runs until a signal."""

import asyncio
import contextlib
import logging
import signal
import socket
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError

from friendli_endpoint.app import EndpointService, StartError, create_app
from friendli_endpoint.cli.complaint import CANNOT_START, complain, refuse
from friendli_endpoint.settings import Settings

__all__ = ["serve"]

FAREWELL_SECONDS = 3
"""How long answers that were cut short may take to say so."""


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="TCP port; 0 takes a free one.", show_default="8000")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="GGUF file to serve.", show_default="the embedded SmolLM2-135M"),
    ] = None,
    chat_template: Annotated[
        Path | None,
        typer.Option(help="Jinja file with the chat template.", show_default="the model's own"),
    ] = None,
    endpoint_id: Annotated[
        list[str] | None,
        typer.Option(help="Endpoint id to answer to; may be repeated.", show_default="any"),
    ] = None,
    max_sequences: Annotated[
        int | None, typer.Option(help="Choices that run at the same time.", show_default="16")
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(help="Tokens, prompt and output, that each can hold.", show_default="4096"),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads that compute.", show_default="one a processor")
    ] = None,
    max_choices: Annotated[
        int | None, typer.Option(help="Most choices (n) of one request.", show_default="128")
    ] = None,
    tool_family: Annotated[
        str | None,
        typer.Option(help="Form of tool calls.", show_default="by the chat template"),
    ] = None,
    parse_reasoning: Annotated[
        bool | None,
        typer.Option(help="Give reasoning apart from the answer.", show_default="on"),
    ] = None,
    max_body: Annotated[
        int | None, typer.Option(help="Most bytes of a request body.", show_default="4194304")
    ] = None,
    drain_seconds: Annotated[
        int | None,
        typer.Option(help="How long running requests may go on after Ctrl-C.", show_default="5"),
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Load a model and answer until stopped.

    Every option can also be set in the environment, as FRIENDLI_ENDPOINT_MAX_SEQUENCES=4 does.
    """
    flags = {k: v for k, v in locals().items() if k != "log_level" and v not in (None, [])}
    _start_logging(log_level)
    settings = _settings(flags)
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
        if service.embedded is not None:
            _banner(service, address)

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


def _banner(service: EndpointService, address: str) -> None:
    embedded = service.embedded
    assert embedded is not None
    typer.echo(
        f"Serving {embedded.name} on {address}  "
        f"({embedded.capacity.sequences} at once, {embedded.capacity.context} tokens of context)\n"
        f"Try it:  curl {address}/dedicated/v1/chat/completions "
        "-H 'content-type: application/json' -d "
        """'{"model": "any", "messages": [{"role": "user", "content": "Hello!"}]}'"""
    )


def _settings(flags: dict[str, Any]) -> Settings:
    try:
        return Settings(**flags)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        refuse(f"{option}: {first['msg'].lower()}, not {first['input']!r}")
    except SettingsError as error:
        refuse(f'{error}: a list is set in the environment as JSON, such as ["first"]')


def _start_logging(level: str) -> None:
    known = logging.getLevelNamesMapping()
    if level.upper() not in known:
        refuse(f"--log-level: must be debug, info, warning or error, not {level!r}")
    logging.basicConfig(
        level=known[level.upper()], format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, known[level.upper()]))

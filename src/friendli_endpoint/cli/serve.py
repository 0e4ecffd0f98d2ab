"""`friendli-endpoint serve`: runs a server until a signal."""

import contextlib
import json
import logging
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.markup import escape

from friendli_endpoint.cli.errors import exit_with_error
from friendli_endpoint.cli.flags import read_settings, with_settings
from friendli_endpoint.generation import ModelCard, StartError
from friendli_endpoint.own_thread import is_out_of_memory
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry.log_queue import LogQueue, QueuedStream
from friendli_endpoint.telemetry.request_log import formatter_of

if TYPE_CHECKING:
    from friendli_endpoint.server.run import Serving

__all__ = ["serve", "show_banner"]

EXAMPLE = json.dumps({"model": "any", "messages": [{"role": "user", "content": "Hello!"}]})


@with_settings
def serve(**flags: Any) -> None:
    """Load a model and serve requests until stopped.

    Every option can also be set in the environment, such as FRIENDLI_ENDPOINT_MAX_SEQUENCES=4, or
    in a TOML file, such as max_sequences = 4. Flags override variables, which override the file.
    """
    settings = read_settings(flags)
    from friendli_endpoint.server.run import run  # saves --help and an invalid flag 0.3 s

    try:
        _start_logging(settings)
        run(settings, _show)
    except StartError as error:
        exit_with_error(str(error))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        exit_with_error("there is not enough memory to serve")
    _end_process()


def _show(serving: "Serving") -> None:
    show_banner(
        Console(),
        serving.card,
        serving.address,
        needs_token=serving.needs_token,
        tool_family=serving.tool_family,
    )


def _end_process() -> NoReturn:
    """Exits the process without freeing anything, as threads may still use it."""
    sys.stdout.flush()
    sys.stderr.flush()
    logging.shutdown()
    os._exit(0)


def _start_logging(settings: Settings) -> None:
    """Starts the thread that writes the log and everything else on standard error."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    handler: logging.Handler = logging.StreamHandler()
    with contextlib.suppress(AttributeError, OSError):  # no standard error, or it is not a file
        is_terminal = sys.stderr.isatty()
        handler = LogQueue(sys.stderr.fileno())
        sys.stderr = QueuedStream(handler, is_terminal)
    handler.setFormatter(formatter_of(settings.log_format))
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, level))


def show_banner(
    console: Console,
    card: ModelCard,
    address: str,
    *,
    needs_token: bool = False,
    tool_family: str | None,
) -> None:
    """Prints the startup banner, in color on a terminal; programs parse its first line.

    Args:
        console: Console to print to.
        card: Card of the model that is served.
        address: URL of the endpoint, as `http://HOST:PORT`.
        needs_token: Whether callers need a bearer token; the example takes it from
            `FRIENDLI_TOKEN`.
        tool_family: Name of the format of tool calls; None if it is unknown, which the first line
            says.
    """
    tools = "" if tool_family else ", no tools: unknown tool-call format, see --tool-family"
    token = '-H "Authorization: Bearer $FRIENDLI_TOKEN" ' if needs_token else ""
    curl = (
        f"curl {shlex.quote(f'{address}/dedicated/v1/chat/completions')} "
        f"{token}-H 'content-type: application/json' -d '{EXAMPLE}'"
    )
    console.print(
        f"Serving [bold]{escape(card.name)}[/] on [bold cyan]{escape(address)}[/]  "
        f"[dim]({card.num_sequences} at once, {card.context} tokens of context{tools})[/]\n"
        f"Try it:  {escape(curl)}\n"
        f"Talk to it:  friendli-endpoint chat --url {escape(shlex.quote(address))}",
        soft_wrap=True,
        highlight=False,
        emoji=False,
    )

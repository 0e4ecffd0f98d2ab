"""Banner, log and end of a process that serves."""

import contextlib
import json
import logging
import os
import shlex
import sys
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.markup import escape

from friendli_endpoint.cli.program import program
from friendli_endpoint.generation import ModelCard
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry.log_queue import LogQueue, QueuedStream
from friendli_endpoint.telemetry.request_log import formatter_of

if TYPE_CHECKING:
    from friendli_endpoint.server.run import Serving

__all__ = ["end_process", "print_banner", "show_banner", "start_logging"]

EXAMPLE = json.dumps({"model": "any", "messages": [{"role": "user", "content": "Hello!"}]})


def print_banner(serving: "Serving") -> None:
    """Prints the startup banner to standard output; see `show_banner`."""
    show_banner(
        Console(),
        serving.card,
        serving.address,
        needs_token=serving.needs_token,
        tool_family=serving.tool_family,
    )


def end_process() -> NoReturn:
    """Exits the process without freeing anything, as threads may still use it."""
    sys.stdout.flush()
    sys.stderr.flush()
    logging.shutdown()
    os._exit(0)


def start_logging(settings: Settings) -> None:
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
        f"Talk to it:  {escape(program())} chat --url {escape(shlex.quote(address))}",
        soft_wrap=True,
        highlight=False,
        emoji=False,
    )

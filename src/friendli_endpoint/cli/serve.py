"""`friendli-endpoint serve`: settings in, a server that runs until a signal."""

import contextlib
import json
import logging
import os
import sys
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape

from friendli_endpoint.cli.errors import exit_with_error
from friendli_endpoint.cli.flags import read_settings, with_settings
from friendli_endpoint.generation import ModelCard, StartError
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry.log_queue import LogQueue, QueuedStream
from friendli_endpoint.telemetry.request_log import formatter_of

__all__ = ["serve", "show_banner"]

EXAMPLE = json.dumps({"model": "any", "messages": [{"role": "user", "content": "Hello!"}]})


@with_settings
def serve(**flags: Any) -> None:
    """Load a model and answer until stopped.

    Every option can also be set in the environment, as FRIENDLI_ENDPOINT_MAX_SEQUENCES=4 does, or
    in a TOML file, as max_sequences = 4. A flag goes before a variable, and that before the file.
    """
    settings = read_settings(flags)
    from friendli_endpoint.server.run import run  # 0.3 s that --help and a wrong flag need not take

    _start_logging(settings)
    try:
        run(settings, _show)
    except StartError as error:
        exit_with_error(str(error))
    _end_process()


def _show(card: ModelCard, address: str, needs_token: bool) -> None:
    show_banner(Console(), card, address, needs_token=needs_token)


def _end_process() -> NoReturn:
    """Ends the process without freeing anything: threads may still use it."""
    sys.stdout.flush()
    sys.stderr.flush()
    logging.shutdown()
    os._exit(0)


def _start_logging(settings: Settings) -> None:
    """Has the log, and all else on standard error, written by a thread of its own."""
    known = logging.getLevelNamesMapping()[settings.log_level.upper()]
    handler: logging.Handler = logging.StreamHandler()
    with contextlib.suppress(AttributeError, OSError):  # there is none, or it is not a file
        is_terminal = sys.stderr.isatty()
        handler = LogQueue(sys.stderr.fileno())
        sys.stderr = QueuedStream(handler, is_terminal)
    handler.setFormatter(formatter_of(settings.log_format))
    logging.basicConfig(level=known, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, known))


def show_banner(
    console: Console, card: ModelCard, address: str, *, needs_token: bool = False
) -> None:
    """Prints it, in colours where the console is a terminal; programs read its first line.

    Args:
        console: Where to.
        card: What is served.
        address: As `http://HOST:PORT`.
        needs_token: Whether callers must show a token, as the one in `FRIENDLI_TOKEN`.
    """
    token = '-H "Authorization: Bearer $FRIENDLI_TOKEN" ' if needs_token else ""
    curl = (
        f"curl {address}/dedicated/v1/chat/completions "
        f"{token}-H 'content-type: application/json' -d '{EXAMPLE}'"
    )
    console.print(
        f"Serving [bold]{escape(card.name)}[/] on [bold cyan]{escape(address)}[/]  "
        f"[dim]({card.num_sequences} at once, {card.context} tokens of context)[/]\n"
        f"Try it:  {escape(curl)}\n"
        f"Talk to it:  friendli-endpoint chat --url {escape(address)}",
        soft_wrap=True,
        highlight=False,
        emoji=False,
    )

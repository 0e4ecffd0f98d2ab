"""`friendli-endpoint chat`: an interactive chat in the terminal, or over a pipe."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["TEMPERATURE", "chat"]

TEMPERATURE = 0.5
"""Temperature of the answers. Of 48 answers of the embedded model to 12 first questions, 12 repeat
themselves at 0.3, 2 at 0.5 and 1 at 0.6; at the API's default of 1, most contain invented words."""


def chat(
    url: Annotated[
        str | None,
        typer.Option(help="URL of a running endpoint.", show_default="start a local endpoint"),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="GGUF file to serve.", show_default="the embedded SmolLM2-135M"),
    ] = None,
    endpoint_id: Annotated[
        str | None,
        typer.Option(help="Endpoint id to send as the model.", show_default="the first one listed"),
    ] = None,
    temperature: Annotated[
        float, typer.Option(min=0, help="Temperature of the answers; /set changes it.")
    ] = TEMPERATURE,
) -> None:
    """Chat with a model; /help lists the commands.

    Without --url, the chat starts a local endpoint on a free port, configured by the environment or
    the file FRIENDLI_ENDPOINT_CONFIG, and stops it at the end. If standard input is a pipe, each
    line is answered in plain text, and the exit code is 1 if a line failed.
    """
    import contextlib
    import signal
    import sys

    from rich.console import Console
    from rich.markup import escape

    from friendli import SyncFriendli
    from friendli_endpoint.cli.addresses import shown_address
    from friendli_endpoint.cli.chat import converse
    from friendli_endpoint.cli.conversation import Conversation
    from friendli_endpoint.cli.errors import exit_with_error
    from friendli_endpoint.cli.flags import read_settings
    from friendli_endpoint.cli.served import UnreachableError, served_models
    from friendli_endpoint.cli.signals import signal_handler
    from friendli_endpoint.generation import StartError
    from friendli_endpoint.server.background import running

    if url is not None and model is not None:
        exit_with_error("--url cannot be combined with --model")

    console = Console()
    with contextlib.ExitStack() as stack:
        try:
            with console.status("Loading the model"):
                address = url or stack.enter_context(running(read_settings({"model": model})))
                name = endpoint_id or served_models(address)[0]["id"]
        except (StartError, UnreachableError) as error:
            exit_with_error(str(error))
        except IndexError:
            exit_with_error(f"{shown_address(address)} lists no models; set --endpoint-id")
        client = stack.enter_context(SyncFriendli(server_url=address))
        if sys.stdin.isatty():
            stack.enter_context(signal_handler(signal.SIGINT, signal.SIG_IGN))
            console.print(
                f"Chatting with [bold]{escape(name)}[/] at temperature {temperature:g} "
                "(/set temperature changes it). /help lists the commands.",
                emoji=False,
                highlight=False,
                soft_wrap=True,
            )
        conversation = Conversation(sampling={"temperature": temperature})
        failed = converse(client, name, console, conversation)
    if failed and not sys.stdin.isatty():
        raise typer.Exit(1)

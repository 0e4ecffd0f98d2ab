"""`friendli-endpoint chat`: a conversation in the terminal, or a pipe and its answers."""

import contextlib
import importlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from friendli import FriendliError, SyncFriendli
from friendli_endpoint.cli.conversation import CommandError, Conversation, take_line
from friendli_endpoint.cli.errors import exit_with_error, print_error
from friendli_endpoint.cli.flags import read_settings
from friendli_endpoint.cli.served import UnreachableError, served_models
from friendli_endpoint.cli.signals import ctrl_c_once, handling
from friendli_endpoint.generation import StartError

__all__ = ["chat", "typed_lines"]

UNPRINTABLE = dict.fromkeys((*range(32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}")
UNPRINTABLE |= {ord("\n"): "\n", ord("\t"): "\t"}
"""What could move the cursor or colour the terminal, had the model written it."""


def chat(
    url: Annotated[
        str | None, typer.Option(help="Endpoint to talk to.", show_default="one of its own")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="GGUF file to talk to.", show_default="the embedded SmolLM2-135M"),
    ] = None,
    endpoint_id: Annotated[
        str | None,
        typer.Option(help="Endpoint id to ask for.", show_default="the first that is served"),
    ] = None,
) -> None:
    """Talk to a model; /help lists the commands.

    Without --url the chat starts an endpoint of its own on a free port, set up by the environment
    or the file FRIENDLI_ENDPOINT_CONFIG, and stops it at the end. A pipe on standard input is read
    line by line: each is answered in plain text, and the exit code is 1 if one could not be.
    """
    if url is not None and model is not None:
        exit_with_error("name --url or --model: an endpoint that runs, or a file to serve")
    from friendli_endpoint.server.background import running  # 0.3 s that --help need not take

    console = Console()
    with contextlib.ExitStack() as stack:
        try:
            with console.status("Loading the model"):
                address = url or stack.enter_context(running(read_settings({"model": model})))
                name = endpoint_id or served_models(address)[0]["id"]
        except (StartError, UnreachableError) as error:
            exit_with_error(str(error))
        except IndexError:
            exit_with_error(f"{url} lists no models; name one with --endpoint-id")
        client = stack.enter_context(SyncFriendli(server_url=address))
        if sys.stdin.isatty():
            stack.enter_context(handling(signal.SIGINT, signal.SIG_IGN))
            console.print(f"Talking to [bold]{name}[/]. /help lists the commands.", emoji=False)
        failed = _talk(client, name, console)
    if failed and not sys.stdin.isatty():
        raise typer.Exit(1)


def _talk(client: SyncFriendli, model: str, console: Console) -> bool:
    """Reads and answers until the end; says whether something could not be done."""
    conversation = Conversation()
    failed = False
    for line in typed_lines() if sys.stdin.isatty() else sys.stdin:
        try:
            outcome = take_line(conversation, line)
            if outcome.says:
                console.out(outcome.says, highlight=False)
            if outcome.next == "quit":
                break
            if outcome.next == "answer":
                _answer(client, model, conversation, console)
        except CommandError as error:
            failed = True
            print_error(str(error))
        except ValidationError as error:
            failed = True
            first = error.errors(include_url=False)[0]
            print_error(f"{first['loc'][0]}: {first['msg']}")
        except (FriendliError, ValueError) as error:
            failed = True
            print_error(_said(error))
    return failed


def typed_lines() -> Iterator[str]:
    """Lines from the terminal, until Ctrl-D; Ctrl-C gives up the one being typed."""
    with contextlib.suppress(ImportError):
        importlib.import_module("readline")  # editing and history, by being imported
    while True:
        try:
            with ctrl_c_once():
                line = input("> ")
            yield line
        except KeyboardInterrupt:
            print()
        except EOFError:
            print()
            return


def _answer(client: SyncFriendli, model: str, conversation: Conversation, console: Console) -> None:
    """Shows an answer as it comes and keeps it; Ctrl-C stops it."""
    content = reasoning = ""
    try:
        with (
            ctrl_c_once(),
            client.dedicated.chat.stream(
                model=model, messages=conversation.messages, extra_body=conversation.sampling
            ) as events,
        ):
            for event in events:
                for choice in event.data.choices:
                    thought = choice.delta.reasoning_content or ""
                    text = choice.delta.content or ""
                    if thought and console.is_terminal:
                        console.out(
                            thought.translate(UNPRINTABLE), end="", style="dim", highlight=False
                        )
                    if text and reasoning and not content and console.is_terminal:
                        console.out()
                    _write(console, text)
                    reasoning += thought
                    content += text
    except KeyboardInterrupt:
        if not sys.stdin.isatty():
            raise
    finally:
        conversation.answered(content, reasoning)
        if content or reasoning:
            console.out()


def _write(console: Console, text: str) -> None:
    """Writes text exactly, which the console would wrap and whose tabs it would expand."""
    console.file.write(text.translate(UNPRINTABLE))
    console.file.flush()


def _said(error: Exception) -> str:
    """The endpoint's own words where it has refused, else the client's."""
    said = getattr(error, "error", None) or {}
    return str(said.get("message") or error)

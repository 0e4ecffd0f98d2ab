"""An interactive chat in the terminal, or over a pipe."""

import contextlib
import importlib
import sys
from collections.abc import Iterator

from pydantic import ValidationError
from rich.console import Console

from friendli import FriendliError, SyncFriendli
from friendli_endpoint.cli.conversation import CommandError, Conversation, run_line
from friendli_endpoint.cli.errors import print_error
from friendli_endpoint.cli.signals import ctrl_c_once

__all__ = ["converse", "read_terminal"]

UNPRINTABLE = dict.fromkeys((*range(32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}")
UNPRINTABLE |= {ord("\n"): "\n", ord("\t"): "\t"}
"""Replacements of control characters, with which a model's output could control the terminal."""


def converse(
    client: SyncFriendli, model: str, console: Console, conversation: Conversation
) -> bool:
    """Reads and answers lines until the end; returns whether any line failed."""
    failed = False
    for line in read_terminal() if sys.stdin.isatty() else sys.stdin:
        try:
            result = run_line(conversation, line)
            if result.output:
                console.out(result.output, highlight=False)
            if result.next == "quit":
                break
            if result.next == "answer":
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
            print_error(_message_of(error))
    return failed


def read_terminal() -> Iterator[str]:
    """Yields lines from the terminal until Ctrl-D; Ctrl-C discards the line being typed."""
    with contextlib.suppress(ImportError):
        importlib.import_module("readline")  # its import adds editing and history to `input`
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
    """Streams an answer to the console and adds it to the conversation; Ctrl-C stops it."""
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
                    reasoning_delta = choice.delta.reasoning_content or ""
                    content_delta = choice.delta.content or ""
                    if reasoning_delta and console.is_terminal:
                        printable = reasoning_delta.translate(UNPRINTABLE)
                        console.out(printable, end="", style="dim", highlight=False)
                    if content_delta and reasoning and not content and console.is_terminal:
                        console.out()
                    _write(console, content_delta)
                    reasoning += reasoning_delta
                    content += content_delta
    except KeyboardInterrupt:
        if not sys.stdin.isatty():
            raise
    finally:
        conversation.add_answer(content, reasoning)
        if content or reasoning:
            console.out()


def _write(console: Console, text: str) -> None:
    """Writes text unchanged; the console itself would wrap lines and expand tabs."""
    console.file.write(text.translate(UNPRINTABLE))
    console.file.flush()


def _message_of(error: Exception) -> str:
    """Returns the endpoint's error message if there is one, else the client's."""
    body = getattr(error, "error", None) or {}
    return str(body.get("message") or error)

"""The startup banner of `serve`."""

import io
import json
import re
import shlex

from rich.console import Console

from friendli_endpoint.cli.serve import show_banner
from friendli_endpoint.generation import ModelCard

ADDRESS = "http://127.0.0.1:8123"
NAME = "a [model] of :mine: with a name that is longer than any terminal is wide" + " and more" * 20

CARD = ModelCard(
    NAME,
    context=512,
    vocabulary_size=300,
    num_sequences=3,
    chat_template=None,
    modalities=("text",),
    adapters=(),
    deterministic=True,
)


def shown(*, terminal: bool, needs_token: bool = False, tool_family: str | None = "hermes") -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=40, no_color=False)
    show_banner(console, CARD, ADDRESS, needs_token=needs_token, tool_family=tool_family)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_first_line_has_the_name_and_the_address() -> None:
    first = shown(terminal=False).splitlines()[0]
    assert first == f"Serving {NAME} on {ADDRESS}  (3 at once, 512 tokens of context)"


def test_the_first_line_says_that_the_format_of_tool_calls_is_unknown() -> None:
    first = shown(terminal=False, tool_family=None).splitlines()[0]
    assert first == (
        f"Serving {NAME} on {ADDRESS}  (3 at once, 512 tokens of context, "
        "no tools: unknown tool-call format, see --tool-family)"
    )


def test_the_example_is_a_valid_shell_command() -> None:
    example = shown(terminal=False).splitlines()[1]
    program, address, *options = shlex.split(example.partition("Try it:  ")[2])
    assert (program, address) == ("curl", f"{ADDRESS}/dedicated/v1/chat/completions")
    assert json.loads(options[options.index("-d") + 1])["messages"][0]["role"] == "user"


def test_the_example_has_a_token_if_one_is_needed() -> None:
    examples = [shown(terminal=False, needs_token=n).splitlines()[1] for n in (False, True)]
    header = '-H "Authorization: Bearer $FRIENDLI_TOKEN" '
    assert header not in examples[0]
    assert examples[1].replace(header, "") == examples[0]


def test_a_terminal_gets_the_same_text_in_color() -> None:
    coloured = shown(terminal=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == shown(terminal=False) != coloured


def test_the_commands_quote_an_ipv6_address_for_the_shell() -> None:
    console = Console(file=io.StringIO(), width=40)
    show_banner(console, CARD, "http://[::1]:8123", tool_family=None)
    assert isinstance(console.file, io.StringIO)
    first, example, talk = console.file.getvalue().splitlines()
    assert first.partition(" on ")[2].split()[0] == "http://[::1]:8123"
    assert "curl 'http://[::1]:8123/dedicated/v1/chat/completions' " in example
    assert talk.endswith("--url 'http://[::1]:8123'")

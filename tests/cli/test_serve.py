"""What `serve` says when it answers, to people and to programs."""

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


def shown(*, terminal: bool, needs_token: bool = False) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=40, no_color=False)
    show_banner(console, CARD, ADDRESS, needs_token=needs_token)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_programs_read_the_name_and_the_address_in_the_first_line() -> None:
    first = shown(terminal=False).splitlines()[0]
    assert first == f"Serving {NAME} on {ADDRESS}  (3 at once, 512 tokens of context)"


def test_the_example_can_be_pasted_into_a_shell() -> None:
    example = shown(terminal=False).splitlines()[1]
    program, address, *options = shlex.split(example.partition("Try it:  ")[2])
    assert (program, address) == ("curl", f"{ADDRESS}/dedicated/v1/chat/completions")
    assert json.loads(options[options.index("-d") + 1])["messages"][0]["role"] == "user"


def test_the_example_shows_a_token_where_one_is_needed() -> None:
    examples = [shown(terminal=False, needs_token=each).splitlines()[1] for each in (False, True)]
    header = '-H "Authorization: Bearer $FRIENDLI_TOKEN" '
    assert header not in examples[0]
    assert examples[1].replace(header, "") == examples[0]


def test_a_terminal_is_shown_the_same_words_in_colours() -> None:
    coloured = shown(terminal=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == shown(terminal=False) != coloured

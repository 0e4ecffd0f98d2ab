"""Command R7B: a JSON list between markers, and markers around text."""

import pytest

from friendli_endpoint.chat.tools.command_r import CommandR

from .cases import TOOLS, Reading, called, parsed
from .walk import VOCABULARY, Walk, allowed, as_token, constraint

COMMAND = CommandR()
BEGIN, END = "<|START_ACTION|>", "<|END_ACTION|>"
TEXT = [("<|START_RESPONSE|>", "<|END_RESPONSE|>"), ("<|START_TEXT|>", "<|END_TEXT|>")]
CALL = '{"tool_call_id": "0", "tool_name": "get", "parameters": {"city": "x"}}'
READ = called("get", '{"city": "x"}')


@pytest.mark.parametrize(
    "call",
    [
        CALL,
        CALL.replace('"tool_call_id": "0", ', ""),
        CALL.replace("0", "12"),
        CALL.replace(", ", ",\n ").replace("{", "{\n", 1),
    ],
)
@pytest.mark.parametrize("space", ["", "\n    "])
def test_a_call_may_have_an_id_and_white_space(call: str, space: str) -> None:
    text = f"{BEGIN}[{space}{call}{space}]{END}"
    assert parsed(COMMAND, text) == Reading("", [READ])
    assert parsed(COMMAND, f"{BEGIN}[{call}, {call}]{END}") == Reading("", [READ, READ])


@pytest.mark.parametrize(("opening", "closing"), TEXT)
def test_markers_around_text_are_not_text(opening: str, closing: str) -> None:
    assert parsed(COMMAND, f"\n{opening}Hi.{closing}\n") == Reading("Hi.", [])
    calls = f"{BEGIN}[{CALL}]{END}"
    assert parsed(COMMAND, f"{opening}Hi.{closing}{calls}") == Reading("Hi.", [READ])
    assert parsed(COMMAND, f"{calls}{opening}Hi.{closing}") == Reading("Hi.", [READ])


@pytest.mark.parametrize(("opening", "closing"), TEXT)
def test_markers_around_text_are_allowed_once(opening: str, closing: str) -> None:
    walk = Walk(constraint(COMMAND, TOOLS, as_token, required=False, parallel=False))
    walk.write(f"{opening}Hi.", as_token)
    assert VOCABULARY.ids[opening] not in allowed(walk.state)
    walk.write(closing, as_token)
    assert VOCABULARY.eos_id in allowed(walk.state)
    assert VOCABULARY.ids[BEGIN] in allowed(walk.state)
    assert ord("x") not in allowed(walk.state)


def test_templates_with_actions_are_recognised() -> None:
    assert COMMAND.recognises(BEGIN) and not COMMAND.recognises(TEXT[0][0])

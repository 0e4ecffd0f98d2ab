"""Limits of numbers, white space and escapes in constrained JSON."""

import json
import re
from copy import copy
from typing import Any

import pytest

from friendli_endpoint.chat.structured.json_text import JsonMasks, JsonText
from friendli_endpoint.chat.tokens import bitmask_of
from tests.chat.structured.walks import COMPILER, ENDS, VOCABULARY, allowed, allows_text
from tests.support.chat import set_bits

OBJECT = {"type": "object"}


@pytest.mark.parametrize("schema", [{"type": "integer"}, {"type": "number"}, {"minimum": 0}, {}])
@pytest.mark.parametrize("preferred", ["3", ".3e", "-e9", "0.0"])
def test_a_model_that_prefers_digits_finishes(schema: dict[str, Any], preferred: str) -> None:
    constraint = COMPILER.json_schema({"type": "array", "items": schema}, ENDS, "s")
    text = ""
    for character in "[1":
        constraint.accept(VOCABULARY.byte(character))
    for step in range(200):
        choices = allowed(constraint)
        ranked = [*preferred[step % len(preferred) :], *preferred, *"0]"]
        token = next(token for token in map(VOCABULARY.byte, ranked) if token in choices)
        text += VOCABULARY.token_bytes(token).decode()
        if constraint.accept(token):
            break
    number = json.loads(f"[1{text}")[0]
    assert max(map(len, re.findall(r"\d+", text))) <= 40
    assert abs(number) < float("inf")


def test_digits_in_strings_are_not_limited() -> None:
    text = json.dumps({"pi": "3" * 100, "e": '"\\' + "7" * 100})
    assert allows_text(COMPILER.json_schema(OBJECT, ENDS, "s"), text)
    assert not allows_text(COMPILER.json_schema(OBJECT, ENDS, "s"), '{"a": ' + "1" * 41 + "}")
    assert allows_text(COMPILER.json_schema(OBJECT, ENDS, "s"), '{"a": ' + "1" * 40 + ".5e-10}")


@pytest.mark.parametrize(
    ("text", "is_within"),
    [
        ('{"a": 1}', True),
        ('{"a":  1}', False),
        ('{"a  \\t\n\n\\"  ": 1}', True),
        ("[\n" + " " * 16 + "1]", True),
        ("[\n" + " " * 17 + "1]", False),
        ("[ \n1]", False),
        ("[\n\n1]", False),
        ("[\t1]", False),
        (r'"\\u0061"', True),
        (r'"\u0061"', False),
        (r'{"\n\u0061": 1}', False),
    ],
)
def test_white_space_and_escapes_have_limits_at_every_token_border(
    text: str, is_within: bool
) -> None:
    encoded = text.encode()
    assert JsonText().feed(encoded) is is_within
    for cut in range(len(encoded)):
        state = JsonText()
        first = state.feed(encoded[:cut])
        assert (first and state.feed(encoded[cut:])) is is_within


@pytest.mark.parametrize("before", ["", "[", "[ ", "[\n", "[\n  ", "[1,", '["', '["\\', '["a", '])
def test_masks_have_the_tokens_that_the_text_permits(before: str) -> None:
    state = JsonText()
    state.feed(before.encode())
    mask = bitmask_of(range(VOCABULARY.size), VOCABULARY.size)
    JsonMasks(VOCABULARY).restrict(mask, state)
    permitted = {
        token for token in range(VOCABULARY.size) if copy(state).feed(VOCABULARY.token_bytes(token))
    }
    assert set_bits(mask, VOCABULARY) == permitted


def test_a_draft_within_the_grammar_but_beyond_the_limits_is_not_allowed() -> None:
    constraint = COMPILER.json_schema({"type": "array"}, ENDS, "s")
    assert constraint.allows([VOCABULARY.byte(sign) for sign in "[ 1"])
    assert not constraint.allows([VOCABULARY.byte(sign) for sign in "[\n\n1"])

"""The length of numbers in constrained JSON."""

import json
import re
from typing import Any

import pytest

from tests.chat.structured.walking import COMPILER, ENDS, VOCABULARY, allowed, follows

OBJECT = {"type": "object"}


@pytest.mark.parametrize("schema", [{"type": "integer"}, {"type": "number"}, {"minimum": 0}, {}])
@pytest.mark.parametrize("favourites", ["3", ".3e", "-e9", "0.0"])
def test_a_model_in_love_with_digits_comes_to_an_end(
    schema: dict[str, Any], favourites: str
) -> None:
    constraint = COMPILER.json_schema({"type": "array", "items": schema}, ENDS, "s")
    text = ""
    for character in "[1":
        constraint.accept(VOCABULARY.byte(character))
    for turn in range(200):
        choices = allowed(constraint)
        liked = [*favourites[turn % len(favourites) :], *favourites, *"0]"]
        bytes_liked = map(VOCABULARY.byte, liked)
        token = next(token for token in bytes_liked if token in choices)
        text += VOCABULARY.token_bytes(token).decode()
        if constraint.accept(token):
            break
    number = json.loads(f"[1{text}")[0]
    assert max(map(len, re.findall(r"\d+", text))) <= 40
    assert abs(number) < float("inf")


def test_digits_in_a_string_are_not_counted() -> None:
    text = json.dumps({"pi": "3" * 100, "e": '"\\' + "7" * 100})
    assert follows(COMPILER.json_schema(OBJECT, ENDS, "s"), text)
    assert not follows(COMPILER.json_schema(OBJECT, ENDS, "s"), '{"a": ' + "1" * 41 + "}")
    assert follows(COMPILER.json_schema(OBJECT, ENDS, "s"), '{"a": ' + "1" * 40 + ".5e-10}")

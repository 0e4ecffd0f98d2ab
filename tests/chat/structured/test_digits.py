"""The length of numbers in constrained JSON."""

import json
import re
from typing import Any

import pytest

from tests.chat.structured.walks import COMPILER, ENDS, VOCABULARY, allowed, allows_text

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

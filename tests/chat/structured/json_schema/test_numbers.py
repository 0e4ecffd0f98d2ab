"""Bounds of numbers hold, and only where numbers are exact."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, refusal_of
from tests.chat.structured.walking import COMPILER, ENDS, follows


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "integer", "minimum": 2**53 - 1, "maximum": 2**53}, "9007199254740993"),
        ({"type": "number", "minimum": 3, "exclusiveMinimum": True}, "3"),
    ],
)
def test_what_a_schema_does_not_allow_is_not_said(schema: Schema, text: str) -> None:
    assert not follows(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"), [({"type": "integer", "minimum": 2**53 + 1}, "s.minimum")]
)
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == param

"""Items are what a schema says, and as many."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, refusal_of
from tests.chat.structured.walking import COMPILER, ENDS, follows, walk


@pytest.mark.parametrize(
    ("schema", "text"),
    [({"type": "array", "items": [{"type": "integer"}], "additionalItems": False}, "[1,2]")],
)
def test_what_a_schema_does_not_allow_is_not_said(schema: Schema, text: str) -> None:
    assert not follows(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"unevaluatedItems": False, "anyOf": [{}]}, "s.unevaluatedItems"),
        ({"minItems": 10**9}, "s.minItems"),
    ],
)
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == param


@pytest.mark.parametrize(("schema", "param"), [({"prefixItems": [{}], "items": [{}]}, "s.items")])
def test_what_is_no_schema_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert (refusal.code, refusal.param) == ("invalid_schema", param)


@pytest.mark.parametrize(
    "schema", [{"type": "array", "items": {"type": "integer"}, "maxItems": 10**12}]
)
def test_what_is_large_is_taken_and_can_be_followed(schema: Schema) -> None:
    walk(COMPILER.json_schema(schema, ENDS, "s"), 1, most=100)

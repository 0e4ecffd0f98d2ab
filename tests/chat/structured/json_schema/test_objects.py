"""Properties keep their names, their order and their number."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, refusal_of
from tests.chat.structured.walking import COMPILER, ENDS, follows, walk


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"properties": {"a": {"type": "integer"}}}, r'{"\u0061": "x"}'),
        ({"properties": {"a": {"type": "integer"}}}, r'{"a": 1,"\u0061": "x"}'),
        ({"properties": {"a": {"type": "integer"}}}, '{"a": 1,"a": "x"}'),
        ({"properties": {"a\nb": {"type": "integer"}}}, r'{"a\u000ab": "x"}'),
    ],
)
def test_what_a_schema_does_not_allow_is_not_said(schema: Schema, text: str) -> None:
    assert not follows(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"unevaluatedProperties": False, "allOf": [{}]}, "s.unevaluatedProperties"),
        ({"minProperties": 2}, "s.minProperties"),
    ],
)
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == param


@pytest.mark.parametrize(
    ("schema", "named"), [({"properties": {f"p{n}": {} for n in range(2001)}}, "2,000 properties")]
)
def test_what_would_take_too_much_is_refused(schema: Schema, named: str) -> None:
    assert named in refusal_of(schema).message


@pytest.mark.parametrize(
    "schema",
    [{"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(2_000)}}],
)
def test_what_is_large_is_taken_and_can_be_followed(schema: Schema) -> None:
    walk(COMPILER.json_schema(schema, ENDS, "s"), 1, most=100)


def test_properties_come_in_the_order_of_the_schema() -> None:
    schema = {
        "type": "object",
        "required": ["b", "a"],
        "properties": {"b": {"type": "null"}, "a": {"type": "null"}},
        "additionalProperties": False,
    }
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    assert not follows(constraint, '{"a":null,"b":null}')
    assert follows(COMPILER.json_schema(schema, ENDS, "s"), '{"b":null,"a":null}')

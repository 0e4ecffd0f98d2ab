"""Schemas of properties by their names hold for every name that matches, or are refused."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, refusal_of
from tests.chat.structured.walking import COMPILER, ENDS, follows


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"patternProperties": {"^.*$": {"type": "integer"}}}, r'{"a\rb": "x"}'),
        ({"patternProperties": {"^a$": {"type": "integer"}}}, r'{"a\n": "x"}'),
        ({"patternProperties": {r"^\w$": {"type": "integer"}}}, '{"é": "x"}'),
        (
            {
                "properties": {"é": {}},
                "patternProperties": {r"^\w$": {"type": "integer"}},
                "additionalProperties": False,
            },
            '{"é": "x"}',
        ),
    ],
)
def test_what_a_schema_does_not_allow_is_not_said(schema: Schema, text: str) -> None:
    assert not follows(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"propertyNames": {"pattern": "a"}, "required": ["a"]}, "s.propertyNames"),
        ({"propertyNames": {"pattern": "a", "minLength": 1}}, "s.propertyNames"),
        ({"patternProperties": {r"\ba": {}}}, r's.patternProperties["\\ba"]'),
    ],
)
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == param


@pytest.mark.parametrize(
    ("schema", "named"),
    [({"patternProperties": {f"^{n}$": {} for n in range(101)}}, "100 patterns")],
)
def test_what_would_take_too_much_is_refused(schema: Schema, named: str) -> None:
    assert named in refusal_of(schema).message

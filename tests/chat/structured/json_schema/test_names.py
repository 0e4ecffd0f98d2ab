"""Schemas for property names by pattern are enforced for every match, or rejected."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text


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
def test_values_that_violate_the_schema_are_not_allowed(schema: Schema, text: str) -> None:
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"propertyNames": {"pattern": "a"}, "required": ["a"]}, "s.propertyNames"),
        ({"propertyNames": {"pattern": "a", "minLength": 1}}, "s.propertyNames"),
        ({"patternProperties": {r"\ba": {}}}, r's.patternProperties["\\ba"]'),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param


@pytest.mark.parametrize(
    ("schema", "message"),
    [({"patternProperties": {f"^{n}$": {} for n in range(101)}}, "100 patterns")],
)
def test_schemas_beyond_the_limits_are_rejected(schema: Schema, message: str) -> None:
    assert message in error_of(schema).message

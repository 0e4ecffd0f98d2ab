"""Object keywords: names, order and number of properties."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"properties": {"a": {"type": "integer"}}}, r'{"\u0061": "x"}'),
        ({"properties": {"a": {"type": "integer"}}}, r'{"a": 1,"\u0061": "x"}'),
        ({"properties": {"a": {"type": "integer"}}}, '{"a": 1,"a": "x"}'),
        ({"properties": {"a\nb": {"type": "integer"}}}, r'{"a\u000ab": "x"}'),
    ],
)
def test_values_that_violate_the_schema_are_not_allowed(schema: Schema, text: str) -> None:
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"minProperties": 2}, "s.minProperties"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param


@pytest.mark.parametrize(
    ("schema", "message"),
    [({"properties": {f"p{n}": {} for n in range(2001)}}, "2,000 properties")],
)
def test_schemas_beyond_the_limits_are_rejected(schema: Schema, message: str) -> None:
    assert message in error_of(schema).message


DESCRIBED = {"type": "string", "description": "What this property is good for, in a sentence."}


@pytest.mark.parametrize(
    "schema",
    [{"type": "object", "properties": {f"p{n}": DESCRIBED for n in range(2_000)}}],
)
def test_large_schemas_are_supported(schema: Schema) -> None:
    walk(COMPILER.json_schema(schema, ENDS, "s"), 1, max_tokens=100)


def test_properties_are_generated_in_the_order_of_the_schema() -> None:
    schema = {
        "type": "object",
        "required": ["b", "a"],
        "properties": {"b": {"type": "null"}, "a": {"type": "null"}},
        "additionalProperties": False,
    }
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    assert not allows_text(constraint, '{"a":null,"b":null}')
    assert allows_text(COMPILER.json_schema(schema, ENDS, "s"), '{"b":null,"a":null}')

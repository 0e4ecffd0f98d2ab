"""Limit on the number of schemas in a rewritten document."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, error_of


def _nested_conditions(levels: int) -> Schema:
    schema: Schema = {"required": ["a"]}
    for _ in range(levels):
        schema = {"if": schema, "then": {"required": ["b"]}, "else": {"required": ["c"]}}
    return schema


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"prefixItems": [{"anyOf": [{"const": n} for n in range(2_000)]}] * 11}, "20,000 schemas"),
        (_nested_conditions(40), "20,000 schemas"),
    ],
)
def test_schemas_beyond_the_limits_are_rejected(schema: Schema, message: str) -> None:
    assert message in error_of(schema).message

"""A document is bounded in how many schemas it holds, once rewritten."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, refusal_of


def _nested_conditions(levels: int) -> Schema:
    schema: Schema = {"required": ["a"]}
    for _ in range(levels):
        schema = {"if": schema, "then": {"required": ["b"]}, "else": {"required": ["c"]}}
    return schema


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"anyOf": [{"const": n} for n in range(20_001)]}, "20,000 schemas"),
        (_nested_conditions(40), "20,000 schemas"),
    ],
)
def test_what_would_take_too_much_is_refused(schema: Schema, named: str) -> None:
    assert named in refusal_of(schema).message

"""Limits on the length and depth of a schema."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, error_of


def _deep(levels: int) -> Schema:
    schema: Schema = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (_deep(3000), "deeper than 100 levels"),
        ({"description": "x" * 600_000}, "524,288 characters"),
    ],
)
def test_schemas_beyond_the_limits_are_rejected(schema: Schema, message: str) -> None:
    assert message in error_of(schema).message

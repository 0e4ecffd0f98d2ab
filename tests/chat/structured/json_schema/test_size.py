"""A schema is bounded in length and in depth."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, refusal_of


def _deep(levels: int) -> Schema:
    schema: Schema = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        (_deep(3000), "deeper than 100 levels"),
        ({"description": "x" * 600_000}, "524,288 characters"),
    ],
)
def test_what_would_take_too_much_is_refused(schema: Schema, named: str) -> None:
    assert named in refusal_of(schema).message

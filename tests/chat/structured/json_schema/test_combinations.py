"""Keywords beside a reference are enforced."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema
from tests.chat.structured.walks import COMPILER, ENDS, allows_text


@pytest.mark.parametrize(
    ("schema", "text"),
    [({"$ref": "#/$defs/a", "maximum": 3, "$defs": {"a": {"type": "integer"}}}, "4")],
)
def test_values_that_violate_the_schema_are_not_allowed(schema: Schema, text: str) -> None:
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)


def test_a_branch_that_cannot_be_told_apart_from_another_is_not_written() -> None:
    schema = {"oneOf": [{"type": "string"}, {"type": ["string", "null"], "format": "date"}]}
    allowed = [
        text
        for text in ('"2026-01-02"', '"x"', "null", "1")
        if allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)
    ]
    assert allowed == ["null"]

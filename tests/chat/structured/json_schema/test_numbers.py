"""Bounds of numbers are enforced in the range where floats are exact."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "integer", "minimum": 2**53 - 1, "maximum": 2**53}, "9007199254740993"),
        ({"type": "number", "minimum": 3, "exclusiveMinimum": True}, "3"),
    ],
)
def test_values_that_violate_the_schema_are_not_allowed(schema: Schema, text: str) -> None:
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"), [({"type": "integer", "minimum": 2**53 + 1}, "s.minimum")]
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param

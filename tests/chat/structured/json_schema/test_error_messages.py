"""Errors of the compiler are located at the keyword that causes them."""

import pytest

from tests.chat.structured.json_schema.helpers import error_of


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"maxProperties": 3, "allOf": [{"properties": {"a": {}}}]}, "s.maxProperties"),
        ({"patternProperties": {"^a": {}, "b$": {}}}, "s.patternProperties"),
        ({"minimum": 5, "maximum": 1, "type": "number"}, "s.minimum"),
        ({"minLength": 5, "maxLength": 1, "type": "string"}, "s.minLength"),
        (
            {
                "properties": {"b": False, "a": {"type": "string", "minLength": 2, "const": "x"}},
                "required": ["a"],
                "type": "object",
            },
            "s.properties.a",
        ),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param

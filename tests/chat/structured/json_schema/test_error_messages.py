"""What the compiler says is said of the keyword that it is about."""

import pytest

from tests.chat.structured.json_schema.helpers import refusal_of


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"properties": {"a": {}}, "maxProperties": 3}, "s.maxProperties"),
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
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == param

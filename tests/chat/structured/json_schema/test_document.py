"""References to what is not in the document are named."""

import pytest

from tests.chat.structured.json_schema.helpers import refusal_of


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"$ref": "https://example.com/x"}, "s.$ref"),
        ({"items": {"$ref": "#/$defs/no"}}, "s.items.$ref"),
    ],
)
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == param

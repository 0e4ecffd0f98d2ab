"""Branches of a `oneOf` that may hold together are refused."""

import pytest

from tests.chat.structured.json_schema.helpers import refusal_of


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"oneOf": [{"type": "string"}, {"pattern": "a"}]}, "s.oneOf"),
        ({"oneOf": [{"uniqueItems": True}, {"type": "array"}]}, "s.oneOf"),
    ],
)
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == param

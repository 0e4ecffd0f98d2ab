"""What has no complement in words is named."""

import pytest

from tests.chat.structured.json_schema.helpers import refusal_of


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"not": {"pattern": "a"}}, "s.not.pattern"),
        ({"if": {"pattern": "a"}, "then": {}}, "s.if.pattern"),
    ],
)
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == param

"""Multiples that a float does not hold, or that are too many together, are named."""

import pytest

from tests.chat.structured.json_schema.helpers import refusal_of


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"multipleOf": 0.01}, "s.multipleOf"),
        ({"allOf": [{"multipleOf": 99991}, {"multipleOf": 99989}]}, "s.allOf[1].multipleOf"),
    ],
)
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == param

"""A place leads through names, keywords and indexes, and tells them apart."""

import pytest

from tests.chat.structured.json_schema.helpers import refusal_of


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"properties": {"contains": {"contains": {}}}}, "s.properties.contains.contains"),
        ({"properties": {"format": {"format": "x"}}}, "s.properties.format.format"),
        ({"enum": [{"not": 1}], "allOf": [{"contains": {}}]}, "s.allOf[0].contains"),
        ({"properties": {"a b": {"contains": {}}}}, 's.properties["a b"].contains'),
        ({"properties": {"0": {"contains": {}}}}, 's.properties["0"].contains'),
        ({"items": [{}, {"contains": {}}]}, "s.items[1].contains"),
    ],
)
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == param

"""Paths of errors: property names, keywords and indexes are distinguished."""

import pytest

from tests.chat.structured.json_schema.helpers import error_of


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"properties": {"contains": {"contains": {}}}}, "s.properties.contains.contains"),
        ({"properties": {"not": {"contains": {}}}}, "s.properties.not.contains"),
        ({"enum": [{"not": 1}], "allOf": [{"contains": {}}]}, "s.allOf[0].contains"),
        ({"properties": {"a b": {"contains": {}}}}, 's.properties["a b"].contains'),
        ({"properties": {"0": {"contains": {}}}}, 's.properties["0"].contains'),
        ({"items": [{}, {"contains": {}}]}, "s.items[1].contains"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param

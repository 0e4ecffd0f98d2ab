"""Paths of errors: property names, keywords and indexes are distinguished."""

import pytest

from tests.chat.structured.json_schema.helpers import error_of


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"properties": {"extends": {"extends": {}}}}, "s.properties.extends.extends"),
        ({"properties": {"not": {"extends": {}}}}, "s.properties.not.extends"),
        ({"enum": [{"not": 1}], "allOf": [{"extends": {}}]}, "s.allOf[0].extends"),
        ({"properties": {"a b": {"extends": {}}}}, 's.properties["a b"].extends'),
        ({"properties": {"0": {"extends": {}}}}, 's.properties["0"].extends'),
        ({"items": [{}, {"extends": {}}]}, "s.items[1].extends"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param

"""References that do not resolve within the document are rejected."""

import pytest

from friendli_endpoint.chat.structured.json_schema.document import num_subschemas
from tests.chat.structured.json_schema.helpers import error_of


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"$ref": "https://example.com/x"}, "s.$ref"),
        ({"items": {"$ref": "#/$defs/no"}}, "s.items.$ref"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param


@pytest.mark.parametrize(
    ("schema", "count"),
    [
        (True, 1),
        ({"type": "null"}, 1),
        ({"$ref": "#/$defs/A"}, 1),
        ({"items": {"properties": {"a": {}, "items": True}}, "not": {"enum": [{"not": {}}]}}, 5),
    ],
)
def test_schemas_are_counted_but_not_property_names_and_constants(
    schema: object, count: int
) -> None:
    assert num_subschemas(schema) == count

"""Array keywords: schemas and number of items."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk


@pytest.mark.parametrize(
    ("schema", "text"),
    [({"type": "array", "items": [{"type": "integer"}], "additionalItems": False}, "[1,2]")],
)
def test_values_that_violate_the_schema_are_not_allowed(schema: Schema, text: str) -> None:
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"unevaluatedItems": False, "anyOf": [{}]}, "s.unevaluatedItems"),
        ({"minItems": 10**9}, "s.minItems"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param


@pytest.mark.parametrize(("schema", "param"), [({"prefixItems": [{}], "items": [{}]}, "s.items")])
def test_invalid_schemas_are_rejected_with_the_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert (error.code, error.param) == ("invalid_schema", param)


@pytest.mark.parametrize(
    "schema", [{"type": "array", "items": {"type": "integer"}, "maxItems": 10**12}]
)
def test_large_schemas_are_supported(schema: Schema) -> None:
    walk(COMPILER.json_schema(schema, ENDS, "s"), 1, max_tokens=100)

"""References that do not resolve within the document are rejected."""

import pytest

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

"""A `oneOf` whose branches overlap inexpressibly is rejected."""

import pytest

from tests.chat.structured.json_schema.helpers import error_of


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"oneOf": [{"format": "time"}, {"format": "date"}]}, "s.oneOf"),
        ({"oneOf": [{"uniqueItems": True}, {"items": {"format": "date"}}]}, "s.oneOf"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param

"""Values of `multipleOf` that are inexact, or too large together, are rejected."""

import pytest

from tests.chat.structured.json_schema.helpers import error_of


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"multipleOf": 0.01}, "s.multipleOf"),
        ({"allOf": [{"multipleOf": 99991}, {"multipleOf": 99989}]}, "s.allOf[1].multipleOf"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param

"""Schemas whose complement a grammar cannot express are rejected."""

import pytest

from tests.chat.structured.json_schema.helpers import error_of


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"not": {"pattern": "a"}}, "s.not.pattern"),
        ({"if": {"pattern": "a"}, "then": {}}, "s.if.pattern"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param

"""Schemas of dependencies are enforced, or rejected with their path."""

import pytest

from tests.chat.structured.json_schema.helpers import error_of


@pytest.mark.parametrize(
    ("schema", "param"), [({"dependencies": {"a": {"extends": {}}}}, "s.dependencies.a.extends")]
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param

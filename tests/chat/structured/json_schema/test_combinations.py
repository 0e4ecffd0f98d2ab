"""What stands beside a reference holds, too."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema
from tests.chat.structured.walking import COMPILER, ENDS, follows


@pytest.mark.parametrize(
    ("schema", "text"),
    [({"$ref": "#/$defs/a", "maximum": 3, "$defs": {"a": {"type": "integer"}}}, "4")],
)
def test_what_a_schema_does_not_allow_is_not_said(schema: Schema, text: str) -> None:
    assert not follows(COMPILER.json_schema(schema, ENDS, "s"), text)

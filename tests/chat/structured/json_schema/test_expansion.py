"""Schemas that the compiler would expand too far are rejected."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, error_of


def _doubling(levels: int) -> Schema:
    """Returns a schema whose definitions each combine two copies of the previous one."""
    doubled = {
        f"d{n + 1}": {
            "properties": {
                name: {"allOf": [{"$ref": f"#/$defs/d{n}"}, {"properties": {f"{name}{n}": {}}}]}
                for name in "xy"
            }
        }
        for n in range(levels)
    }
    return {"$ref": f"#/$defs/d{levels}", "$defs": {"d0": {"type": "object"}, **doubled}}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (
            {
                "allOf": [
                    {"anyOf": [{"type": "object", "required": [f"{n}{m}"]} for m in range(3)]}
                    for n in range(16)
                ]
            },
            "too complex",
        ),
        (_doubling(30), "too complex"),
    ],
)
def test_schemas_beyond_the_limits_are_rejected(schema: Schema, message: str) -> None:
    assert message in error_of(schema).message

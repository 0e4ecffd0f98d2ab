"""A schema that the compiler would write out at too great a length is refused."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, refusal_of


def _doubling(levels: int) -> Schema:
    """Each definition holds two copies of the one before, with something added to each."""
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
    ("schema", "named"),
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
def test_what_would_take_too_much_is_refused(schema: Schema, named: str) -> None:
    assert named in refusal_of(schema).message

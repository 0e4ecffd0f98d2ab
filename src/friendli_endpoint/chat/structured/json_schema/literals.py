"""Constants: `const` and `enum`, as they are, where a number or a text can be written exactly."""

import re
from typing import Any

from friendli_endpoint.chat.structured.json_schema.part import Part
from friendli_endpoint.chat.structured.json_schema.place import Place, SchemaFault

__all__ = ["check_text", "const", "enum"]

_EXACT = 2**53
_UNWRITABLE = re.compile("[\x00-\x07\x0b\x0e-\x1f\x7f\ud800-\udfff]")
"""Characters that only an escape of four digits can write in a JSON string; it is switched off, so
that a name of a property has a single spelling."""


def const(part: Part) -> None:
    """Takes `const` over."""
    part.whole.count_literals(_check(part.schema["const"], part.at("const")))
    part.out["const"] = part.schema["const"]


def enum(part: Part) -> None:
    """Takes `enum` over."""
    for index, each in enumerate(part.schema["enum"]):
        part.whole.count_literals(_check(each, part.at("enum", index)))
    part.out["enum"] = part.schema["enum"]


def check_text(text: object, place: Place, *steps: str | int) -> None:
    """Refuses a string that cannot be written.

    Raises:
        SchemaFault: Said of the place that the steps lead to from there.
    """
    if isinstance(text, str) and _UNWRITABLE.search(text):
        raise SchemaFault(
            (*place, *steps), "it holds a control character, or half of a surrogate pair"
        )


def _check(value: Any, place: Place) -> int:
    """Refuses a constant that cannot be written; counts its lists and objects, and their items."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        for name in value if isinstance(value, dict) else ():
            check_text(name, place)
        return 1 + len(inner) + sum(_check(item, place) for item in inner)
    if isinstance(value, int | float) and not abs(value) <= _EXACT:
        raise SchemaFault(place, "it holds a number beyond 2^53, where numbers are not exact")
    check_text(value, place)
    return 0

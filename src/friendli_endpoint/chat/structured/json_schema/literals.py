"""Constants: `const` and `enum`, copied if all their numbers and strings can be generated."""

import re
from typing import Any

from friendli_endpoint.chat.structured.json_schema.node import SchemaNode
from friendli_endpoint.chat.structured.json_schema.numbers import is_read_exactly
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, SchemaPath

__all__ = ["check_text", "const", "enum"]

_MAX_EXACT = 2**53
_MAX_BYTES = 8 * 1024
"""Bytes of a constant string or of a name; see `fixed_text.py`."""
_UNWRITABLE = re.compile("[\x00-\x07\x0b\x0e-\x1f\x7f\ud800-\udfff]")
"""Characters that JSON can only write as a `\\u` escape. Those escapes are disabled, so that a
property name has a single spelling."""


def const(node: SchemaNode) -> None:
    """Copies `const`."""
    node.context.count_literals(_check(node.schema["const"], node.at("const")))
    node.out["const"] = node.schema["const"]


def enum(node: SchemaNode) -> None:
    """Copies `enum`, of whole numbers without those with a fraction, unless no value remains."""
    values = node.schema["enum"]
    for index, value in enumerate(values):
        node.context.count_literals(_check(value, node.at("enum", index)))
    if "integer" in node.types and "number" not in node.types:
        # Before version 1.9 the compiler rejects these instead of leaving them out.
        values = [value for value in values if not _has_fraction(value)] or values
    node.out["enum"] = values


def check_text(text: object, path: SchemaPath, *keys: str | int) -> None:
    """Checks that a string is short and can be generated; ignores values that are not strings.

    Raises:
        SchemaError: At the path, extended by the keys.
    """
    if not isinstance(text, str):
        return
    if len(text.encode(errors="replace")) > _MAX_BYTES:
        raise SchemaError((*path, *keys), f"it has a text of more than {_MAX_BYTES:,} bytes")
    if _UNWRITABLE.search(text):
        raise SchemaError(
            (*path, *keys), "it contains a control character or half of a surrogate pair"
        )


def _has_fraction(value: Any) -> bool:
    return isinstance(value, float) and not value.is_integer()


def _check(value: Any, path: SchemaPath) -> int:
    """Checks that a constant can be generated; counts its lists and objects, and their items."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        for name in value if isinstance(value, dict) else ():
            check_text(name, path)
        return 1 + len(inner) + sum(_check(item, path) for item in inner)
    if isinstance(value, int | float) and not abs(value) <= _MAX_EXACT:
        raise SchemaError(path, "numbers beyond 2^53 are not supported, because floats are inexact")
    if isinstance(value, int | float) and not is_read_exactly(value):
        raise SchemaError(
            path,
            "numbers with more digits than 2^53, or more than 22 decimals, are not supported, "
            "because the compiler reads them inexactly",
        )
    check_text(value, path)
    return 0

"""Checks that keywords have valid values and can be enforced."""

from typing import Any

from friendli_endpoint.chat.structured.json_schema.drafts import Draft
from friendli_endpoint.chat.structured.json_schema.keywords import (
    ALL_TYPES,
    APPLIES_TO,
    MAX_COUNTS,
    UNSUPPORTED,
    VALUES,
    types_of,
)
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, SchemaPath

__all__ = ["check_enforced", "check_values"]

_EXCLUSIVE = (("exclusiveMaximum", "maximum"), ("exclusiveMinimum", "minimum"))


def check_values(schema: Any, path: SchemaPath, draft: Draft) -> None:
    """Checks that a subschema is an object whose keywords have valid values.

    Args:
        schema: The value in the user's schema; not true or false.
        path: Path of the value.
        draft: The version of JSON Schema that the user named.

    Raises:
        SchemaError: At the keyword that is invalid or has too many entries, or at the value if it
            is not an object.
    """
    if not isinstance(schema, dict):
        raise SchemaError(path, "it must be an object, true or false", invalid=True)
    for keyword, value in schema.items():
        if keyword in VALUES:
            is_valid, description = VALUES[keyword]
            if not is_valid(value):
                raise SchemaError((*path, keyword), f"it must be {description}", invalid=True)
            max_count = MAX_COUNTS.get(keyword)
            if max_count is None or (keyword == "items" and not isinstance(value, list)):
                continue
            if len(value) > max_count:
                raise SchemaError((*path, keyword), f"it has more than {max_count:,} entries")
    for keyword, bound in _EXCLUSIVE:
        if keyword not in schema:
            continue
        is_flag = isinstance(schema[keyword], bool)
        if is_flag and draft not in (None, 4):
            raise SchemaError((*path, keyword), "it must be a number", invalid=True)
        if not is_flag and draft == 4 and bound in schema:
            raise SchemaError((*path, keyword), "it must be true or false", invalid=True)


def check_enforced(schema: dict[str, Any], path: SchemaPath) -> None:
    """Checks that a subschema has no keyword that constrains values but cannot be enforced.

    Args:
        schema: A subschema whose keywords have valid values.
        path: Path of the subschema.

    Raises:
        SchemaError: At the unsupported keyword.
    """
    if UNSUPPORTED.keys().isdisjoint(schema):
        return
    types = types_of(schema)
    for keyword, value in schema.items():
        is_neutral, reason = UNSUPPORTED.get(keyword, (None, ""))
        if is_neutral is None or is_neutral(value):
            continue
        if APPLIES_TO.get(keyword, ALL_TYPES).isdisjoint(types):
            continue
        raise SchemaError((*path, keyword), reason)

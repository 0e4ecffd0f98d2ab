"""Whether the keywords of a schema have values that they can have, and are enforced at all."""

from typing import Any

from friendli_endpoint.chat.structured.json_schema.drafts import Draft
from friendli_endpoint.chat.structured.json_schema.keywords import (
    ALL_TYPES,
    APPLIES_TO,
    UNSUPPORTED,
    VALUES,
    types_of,
)
from friendli_endpoint.chat.structured.json_schema.place import Place, SchemaFault

__all__ = ["check_enforced", "check_values"]

_EXCLUSIVE = (("exclusiveMaximum", "maximum"), ("exclusiveMinimum", "minimum"))


def check_values(schema: Any, place: Place, draft: Draft) -> None:
    """Refuses what is not a schema, and keywords with values that they cannot have.

    Args:
        schema: What the user sent; not true or false.
        place: Where it is.
        draft: The version of JSON Schema that the user named.

    Raises:
        SchemaFault: Said of the keyword, or of the schema itself.
    """
    if not isinstance(schema, dict):
        raise SchemaFault(place, "it must be an object, true or false", invalid=True)
    for keyword, value in schema.items():
        if keyword in VALUES:
            valid, words = VALUES[keyword]
            if not valid(value):
                raise SchemaFault((*place, keyword), f"it must be {words}", invalid=True)
    for keyword, beside in _EXCLUSIVE:
        if keyword not in schema:
            continue
        is_flag = isinstance(schema[keyword], bool)
        if is_flag and draft not in (None, 4):
            raise SchemaFault((*place, keyword), "it must be a number", invalid=True)
        if not is_flag and draft == 4 and beside in schema:
            raise SchemaFault((*place, keyword), "it must be true or false", invalid=True)


def check_enforced(schema: dict[str, Any], place: Place) -> None:
    """Refuses keywords that are not enforced, where they ask for something.

    Args:
        schema: Keywords to valid values.
        place: Where it is.

    Raises:
        SchemaFault: Said of the keyword.
    """
    if UNSUPPORTED.keys().isdisjoint(schema):
        return
    types = types_of(schema)
    for keyword, value in schema.items():
        neutral, reason = UNSUPPORTED.get(keyword, (None, ""))
        if neutral is None or neutral(value):
            continue
        if APPLIES_TO.get(keyword, ALL_TYPES).isdisjoint(types):
            continue
        if keyword == "uniqueItems" and schema.get("maxItems", 2) <= 1:
            continue
        raise SchemaFault((*place, keyword), reason)

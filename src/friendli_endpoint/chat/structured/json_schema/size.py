"""How large a schema may be, whatever is in it."""

import json

from friendli_endpoint.chat.structured.json_schema.place import SchemaFault

__all__ = ["schema_text"]

_MOST_CHARACTERS = 512 * 1024
_MOST_NESTING = 100


def schema_text(schema: object, param: str) -> str:
    """A schema as JSON.

    Args:
        schema: What the request holds.
        param: Where it is in the request.

    Raises:
        Refusal: It is too long or too deep.
    """
    limit = f"it is nested deeper than {_MOST_NESTING} levels"
    if _nesting(schema) <= _MOST_NESTING:
        text = json.dumps(schema)
        if len(text) <= _MOST_CHARACTERS:
            return text
        limit = f"it has more than {_MOST_CHARACTERS:,} characters"
    raise SchemaFault((), limit, invalid=True).refusal(param)


def _nesting(value: object) -> int:
    """How deep lists and objects are nested, found without recursion."""
    deepest, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        deepest += 1
        level = [
            child for each in level for child in (each.values() if isinstance(each, dict) else each)
        ]
    return deepest

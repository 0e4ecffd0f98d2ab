"""How large a schema may be, whatever is in it."""

import json

from friendli_endpoint.chat.structured.json_schema.place import SchemaFault

__all__ = ["schema_text"]

_MOST_CHARACTERS = 512 * 1024
_MOST_NESTING = 100
_HOLDING = (dict, list)


def schema_text(schema: object, param: str) -> str:
    """A schema as JSON.

    Args:
        schema: What the request holds.
        param: Where it is in the request.

    Raises:
        RequestError: It is too long or too deep.
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
    deepest = 0
    level = [value] if isinstance(value, _HOLDING) else []
    while level:
        deepest += 1
        level = [
            child
            for holder in level
            for child in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(child, _HOLDING)
        ]
    return deepest

"""Limits on the size of a schema, checked before anything else."""

import json

from friendli_endpoint.chat.structured.json_schema.paths import SchemaError

__all__ = ["schema_text"]

_MAX_CHARACTERS = 512 * 1024
_MAX_DEPTH = 100
_CONTAINERS = (dict, list)


def schema_text(schema: object, param: str) -> str:
    """Serializes a schema as JSON.

    Args:
        schema: The value in the request; it may be anything.
        param: Path of the schema in the request.

    Raises:
        RequestError: It is too long or nested too deeply.
    """
    reason = f"it is nested deeper than {_MAX_DEPTH} levels"
    if _depth(schema) <= _MAX_DEPTH:
        text = json.dumps(schema)
        if len(text) <= _MAX_CHARACTERS:
            return text
        reason = f"it has more than {_MAX_CHARACTERS:,} characters"
    raise SchemaError((), reason, invalid=True).to_request_error(param)


def _depth(value: object) -> int:
    """Returns the nesting depth of lists and objects; not recursive."""
    depth = 0
    level = [value] if isinstance(value, _CONTAINERS) else []
    while level:
        depth += 1
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, _CONTAINERS)
        ]
    return depth

"""Dynamic references that have only one possible target, as references.

A `$dynamicRef` leads to the outermost of the anchors of its name that validation came through. A
document without other documents in it has each anchor once, so the target is unique.
"""

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any

from friendli_endpoint.chat.structured.json_schema.document import subschemas

__all__ = ["with_fixed_references"]


def with_fixed_references(root: dict[str, Any]) -> dict[str, Any]:
    """Replaces `$dynamicRef` and `$recursiveRef` by `$ref` where they are equivalent.

    Args:
        root: The schema as the user sent it; not changed.
    """
    schemas = [*_schemas(root)]
    if not any({"$dynamicRef", "$recursiveRef"} & schema.keys() for schema in schemas):
        return root
    if any("$id" in schema for schema in schemas[1:]):
        return root
    anchors = Counter(str(schema.get("$dynamicAnchor")) for schema in schemas)
    fixed = copy.deepcopy(root)
    for schema in _schemas(fixed):
        if "$ref" in schema:
            continue
        name = schema.get("$dynamicRef")
        if isinstance(name, str) and name[:1] == "#" and anchors[name[1:]] == 1:
            schema["$ref"] = schema.pop("$dynamicRef")
        elif schema.get("$recursiveRef") == "#":
            schema["$ref"] = schema.pop("$recursiveRef")
    return fixed


def _schemas(root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields a schema and all schemas in it, the outermost first."""
    pending: list[Any] = [root]
    while pending:
        schema = pending.pop()
        if isinstance(schema, dict):
            yield schema
            pending.extend(inner for _, inner in subschemas(schema))

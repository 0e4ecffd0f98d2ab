"""Limits on references: no cycles on the same value, and no nesting beyond the compiler's stack."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from friendli_endpoint.chat.structured.json_schema.document import Document, subschemas
from friendli_endpoint.chat.structured.json_schema.paths import (
    SchemaError,
    SchemaPath,
    definition_name,
)

__all__ = ["check_cycles", "check_depth"]

_MAX_DEPTH = 120
"""Nested schemas, with references followed. The compiler recurses on the stack of a thread, and a
stack overflow would end the process."""

_DEFINITION_KEYWORDS = ("$defs", "definitions")
"""Keywords whose schemas apply only through references."""
_IN_PLACE_KEYWORDS = (
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
    *("dependencies", "dependentSchemas"),
)
"""Keywords whose schemas apply to the same value as the schema around them."""


def check_cycles(document: Document) -> None:
    """Checks that no reference leads back to itself on the same value.

    JSON Schema leaves the meaning of such a cycle open, and validators recurse in it without end.
    Definitions that are never referenced are ignored.

    Args:
        document: The schema as the user sent it.

    Raises:
        SchemaError: At a `$ref` of the cycle.
    """
    if not document.has_references:
        return
    same_value: dict[SchemaPath, list[SchemaPath]] = {}
    targets: set[SchemaPath] = set()
    pending: list[tuple[SchemaPath, Any]] = [((), document.at(()))]
    while pending:
        path, schema = pending.pop()
        if path in same_value or not isinstance(schema, dict):
            continue
        same_value[path] = neighbors = []
        for keys, inner in subschemas(schema):
            if keys[0] not in _DEFINITION_KEYWORDS:
                inner_path = (*path, *keys)
                pending.append((inner_path, inner))
                if keys[0] in _IN_PLACE_KEYWORDS:
                    neighbors.append(inner_path)
        reference = schema.get("$ref")
        target = document.resolve(reference, path) if isinstance(reference, str) else None
        if target is not None:
            neighbors.append((*path, "$ref"))
            same_value[*path, "$ref"] = [target]
            targets.add(target)
            pending.append((target, document.at(target)))
    if not any(same_value.get(target) for target in targets):
        return  # On a cycle, the target of a reference has a neighbor itself.
    try:
        TopologicalSorter(same_value).prepare()
    except CycleError as error:
        reference = next(path for path in error.args[1] if isinstance(document.at(path), str))
        raise SchemaError(
            reference, "it leads back to itself without a property or item in between"
        ) from error


def check_depth(root: Any, definitions: dict[str, Any]) -> None:
    """Checks the nesting depth of a schema, with references followed.

    Args:
        root: The rewritten schema.
        definitions: Rewritten targets of its references, by name.

    Raises:
        SchemaError: At the root.
    """
    seen: set[str] = set()
    stack: list[Iterator[Any]] = [_children(root, seen, definitions)]
    while stack:
        inner = next(stack[-1], None)
        if inner is None:
            stack.pop()
        elif len(stack) >= _MAX_DEPTH:
            raise SchemaError((), f"with its references it is deeper than {_MAX_DEPTH} levels")
        elif isinstance(inner, dict):
            stack.append(_children(inner, seen, definitions))


def _children(schema: dict[str, Any], seen: set[str], definitions: dict[str, Any]) -> Iterator[Any]:
    for _, inner in subschemas(schema):
        yield inner
    if "$ref" in schema:
        name = definition_name(schema["$ref"])
        if name in definitions and name not in seen:
            seen.add(name)
            yield definitions[name]

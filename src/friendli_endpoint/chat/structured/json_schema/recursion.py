"""References that lead round in circles, or deeper than the compiler's stack."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from friendli_endpoint.chat.structured.json_schema.document import Document, subschemas
from friendli_endpoint.chat.structured.json_schema.place import Place, SchemaFault, definition_name

__all__ = ["check_circles", "check_depth"]

_MOST_DEPTH = 120
"""Schemas inside schemas, references followed; the compiler follows them on the stack of a thread,
and running out of that would end the process."""

_STORES = ("$defs", "definitions")
"""Keywords whose schemas are for those who refer to them."""
_IN_PLACE = (
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
    *("dependencies", "dependentSchemas"),
)
"""Keywords whose schemas are for the same value as the schema around them."""


def check_circles(document: Document) -> None:
    """Refuses references that come back to where they are without a value in between.

    JSON Schema leaves their meaning open, and validators recurse in them without end. What nothing
    refers to is not looked at.

    Args:
        document: The schema as the user sent it.

    Raises:
        SchemaFault: Said of a `$ref`.
    """
    if not document.has_references:
        return
    same_value: dict[Place, list[Place]] = {}
    targets: set[Place] = set()
    pending: list[tuple[Place, Any]] = [((), document.at(()))]
    while pending:
        place, schema = pending.pop()
        if place in same_value or not isinstance(schema, dict):
            continue
        same_value[place] = neighbours = []
        for steps, inner in subschemas(schema):
            if steps[0] not in _STORES:
                inside = (*place, *steps)
                pending.append((inside, inner))
                if steps[0] in _IN_PLACE:
                    neighbours.append(inside)
        reference = schema.get("$ref")
        target = document.resolve(reference, place) if isinstance(reference, str) else None
        if target is not None:
            neighbours.append((*place, "$ref"))
            same_value[*place, "$ref"] = [target]
            targets.add(target)
            pending.append((target, document.at(target)))
    if not any(same_value.get(target) for target in targets):
        return  # On a circle, what a reference leads to leads on.
    try:
        TopologicalSorter(same_value).prepare()
    except CycleError as error:
        reference = next(each for each in error.args[1] if isinstance(document.at(each), str))
        raise SchemaFault(
            reference, "it leads back to itself without a value in between"
        ) from error


def check_depth(root: Any, definitions: dict[str, Any]) -> None:
    """Refuses a schema that the compiler would follow too deep.

    Args:
        root: It.
        definitions: What its references lead to, by name.

    Raises:
        SchemaFault: Said of the whole schema.
    """
    seen: set[str] = set()
    stack: list[Iterator[Any]] = [_next(root, seen, definitions)]
    while stack:
        inner = next(stack[-1], None)
        if inner is None:
            stack.pop()
        elif len(stack) >= _MOST_DEPTH:
            raise SchemaFault((), f"with its references it is deeper than {_MOST_DEPTH} levels")
        elif isinstance(inner, dict):
            stack.append(_next(inner, seen, definitions))


def _next(schema: dict[str, Any], seen: set[str], definitions: dict[str, Any]) -> Iterator[Any]:
    for _, inner in subschemas(schema):
        yield inner
    if "$ref" in schema:
        name = definition_name(schema["$ref"])
        if name in definitions and name not in seen:
            seen.add(name)
            yield definitions[name]

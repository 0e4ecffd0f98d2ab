"""Limits on references: no cycles on the same value, and no nesting beyond the compiler's stack."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from friendli_endpoint.chat.structured.json_schema.document import Document, subschemas
from friendli_endpoint.chat.structured.json_schema.keywords import ASSERTIONS
from friendli_endpoint.chat.structured.json_schema.paths import (
    SchemaError,
    SchemaPath,
    definition_name,
)

__all__ = ["check_cycles", "check_depth"]

_MAX_DEPTH = 120
"""Nested schemas, with references followed. The compiler recurses on the stack of a thread, and a
stack overflow would end the process."""

_MAX_CYCLES = 50
_CYCLE = "it leads back to itself without a property or item in between"

_DEFINITION_KEYWORDS = ("$defs", "definitions")
"""Keywords whose schemas apply only through references."""
_IN_PLACE_KEYWORDS = (
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
    *("dependencies", "dependentSchemas"),
)
"""Keywords whose schemas apply to the same value as the schema around them."""


def check_cycles(document: Document) -> None:
    """Finds references that lead back to themselves on the same value.

    JSON Schema leaves the meaning of such a cycle open, and validators recurse in it without end.
    But a schema that requires itself, beside other keywords, says nothing by that: the reference
    is noted in `document.self_references`. Definitions that are never referenced are ignored.

    Args:
        document: The schema as the user sent it.

    Raises:
        SchemaError: At a `$ref` of any other cycle.
    """
    if not document.has_references:
        return
    same_value, targets = _same_value(document)
    if not any(same_value.get(target) for target in targets):
        return  # On a cycle, the target of a reference has a neighbor itself.
    for _ in range(_MAX_CYCLES):
        try:
            TopologicalSorter(same_value).prepare()
        except CycleError as error:
            cycle = error.args[1][1:]
            reference = next(path for path in cycle if isinstance(document.at(path), str))
            if not _requires_only_itself(document, cycle, reference, targets):
                raise SchemaError(reference, _CYCLE) from error
            document.self_references.add(reference[:-1])
            same_value[reference] = []
        else:
            return
    raise SchemaError((), f"more than {_MAX_CYCLES} of its references lead back to themselves")


def _requires_only_itself(
    document: Document, cycle: list[SchemaPath], reference: SchemaPath, targets: set[SchemaPath]
) -> bool:
    """Whether a schema requires itself, by one reference, beside keywords that constrain it.

    The schemas in between must not be targets of other references, which do not require the rest.
    """
    start = min(cycle, key=len)
    steps = reference[len(start) : -1]
    between = (path for path in cycle if path not in (start, reference))
    return (
        reference[: len(start)] == start
        and set(steps[::2]) <= {"allOf"}
        and sum(isinstance(document.at(path), str) for path in cycle) == 1
        and not any(path in targets for path in between)
        and bool(document.at(start).keys() & ASSERTIONS - {"$ref", *steps[:1]})
    )


def _same_value(
    document: Document,
) -> tuple[dict[SchemaPath, list[SchemaPath]], set[SchemaPath]]:
    """Returns the schemas that apply to the same value as each schema, and targets of references.

    Those are the schemas below its in-place keywords. A reference is a node of its own.
    """
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
    return same_value, targets


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

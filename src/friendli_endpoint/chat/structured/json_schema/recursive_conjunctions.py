"""Recursive references with other keywords beside them, as definitions of their own.

The compiler cannot combine a schema with one that it is still building, and a recursive reference
leads to such a schema. So each combination becomes a definition in which the reference is replaced
by what its target says. Where the same combination occurs again, in it or elsewhere, a reference to
that definition suffices: the recursion closes.
"""

import json
from collections.abc import Iterator
from typing import Any

from friendli_endpoint.chat.structured.json_schema.components import cyclic_components
from friendli_endpoint.chat.structured.json_schema.document import subschemas, with_subschemas
from friendli_endpoint.chat.structured.json_schema.paths import (
    definition_name,
    definition_pointer,
)

__all__ = ["close_conjunctions"]

_MAX_SCHEMAS = 5_000
"""Schemas in all combinations, with their references replaced. Beyond it, nothing is replaced, and
the compiler rejects the first combination that it cannot build."""
_MAX_DEPTH = 100
"""References followed, and `allOf` and `anyOf` in each other, within one combination."""
_ROOT = "#"
_IN_PLACE = ("allOf", "anyOf")


def close_conjunctions(
    root: dict[str, Any], definitions: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Replaces combinations of recursive references by references to new definitions.

    Args:
        root: The rewritten schema.
        definitions: Rewritten targets of its references, by name.

    Returns:
        An equivalent root and its definitions; the same objects if nothing is to be replaced, or
        if the combinations would be too large together.
    """
    named = {_ROOT: root, **definitions}
    references = {name: {*map(definition_name, _references(named[name]))} for name in named}
    components = cyclic_components(references)
    if not components:
        return root, definitions
    closing = _Closing(named, components)
    try:
        closed = {name: closing.replaced(schema, name) for name, schema in named.items()}
        closing.finish()
    except _TooLargeError:
        return root, definitions
    if not closing.definitions:
        return root, definitions
    root = closed.pop(_ROOT)
    return root, {**closed, **closing.definitions}


class _TooLargeError(Exception):
    """The combinations have too many schemas."""


class _Closing:
    """New definitions of one document.

    Args:
        named: Its schemas by the name that references have for them.
        components: A number for each name on a cycle of references, the same for all on one cycle.

    Attributes:
        definitions: The definitions so far.
    """

    def __init__(self, named: dict[str, Any], components: dict[str, int]) -> None:
        self.definitions: dict[str, Any] = {}
        self._named = named
        self._components = components
        self._known: dict[str, str] = {}
        self._pending: list[tuple[str, dict[str, Any], str]] = []
        self._num_schemas = 0

    def replaced(self, schema: Any, name: str) -> Any:
        """Returns a schema whose combinations of recursive references are replaced.

        Args:
            schema: The schema.
            name: The definition that contains it.
        """
        if not isinstance(schema, dict):
            return schema
        if not self._is_combination(schema, name):
            return with_subschemas(schema, lambda inner: self.replaced(inner, name))
        key = json.dumps(schema)
        if key not in self._known:
            self._known[key] = new = f"c{len(self._known)}"
            self._pending.append((new, schema, name))
        return {"$ref": definition_pointer(self._known[key])}

    def finish(self) -> None:
        """Makes the definitions that the schemas so far refer to, and those that these refer to.

        Raises:
            _TooLargeError: They are too large together.
        """
        while self._pending:
            new, schema, name = self._pending.pop()
            whole = self._expanded(schema, 0)
            _join_common(list(_conjuncts(whole)))
            self.definitions[new] = self._with_inner_replaced(whole, name)

    def _with_inner_replaced(self, schema: Any, name: str) -> Any:
        """Replaces combinations in the properties and items of a value, not for the value."""
        if not isinstance(schema, dict):
            return schema
        in_place = {
            keyword: [self._with_inner_replaced(branch, name) for branch in schema[keyword]]
            for keyword in _IN_PLACE
            if keyword in schema
        }
        rest = {keyword: value for keyword, value in schema.items() if keyword not in in_place}
        return {**with_subschemas(rest, lambda inner: self.replaced(inner, name)), **in_place}

    def _is_combination(self, schema: dict[str, Any], name: str) -> bool:
        """Whether the compiler would have to combine a schema that it is still building.

        That is a schema on the same cycle, or one of two recursive schemas that are combined.
        """
        if schema.keys() <= {"$ref"} or schema.keys() == {"anyOf"}:
            return False
        own = self._components.get(name, -1)
        targets = set(self._targets(schema))
        return any(self._components[target] == own for target in targets) or len(targets) > 1

    def _targets(self, schema: Any) -> Iterator[str]:
        """Yields the recursive definitions that apply to the same value."""
        if not isinstance(schema, dict):
            return
        if "$ref" in schema and (name := definition_name(schema["$ref"])) in self._components:
            yield name
        for keyword in _IN_PLACE:
            for branch in schema.get(keyword, ()):
                yield from self._targets(branch)

    def _expanded(self, schema: Any, depth: int) -> Any:
        """Returns a copy in which what recursive references refer to takes their place."""
        if not isinstance(schema, dict):
            return schema
        self._num_schemas += 1
        if self._num_schemas > _MAX_SCHEMAS or depth > _MAX_DEPTH:
            raise _TooLargeError
        out = {
            keyword: [self._expanded(branch, depth + 1) for branch in value]
            if keyword in _IN_PLACE
            else value
            for keyword, value in schema.items()
        }
        if "$ref" in out and (name := definition_name(out["$ref"])) in self._components:
            del out["$ref"]
            out["allOf"] = [self._expanded(self._named[name], depth + 1), *out.get("allOf", ())]
        return out


def _join_common(conjuncts: list[dict[str, Any]]) -> None:
    """Combines what several schemas say about a property or all items, in the first of them."""
    with_names = [schema for schema in conjuncts if "properties" in schema]
    for schema in with_names:
        schema["properties"] = dict(schema["properties"])
    names = dict.fromkeys(name for schema in with_names for name in schema["properties"])
    for name in names:
        _join([schema["properties"] for schema in with_names if name in schema["properties"]], name)
    if not any("prefixItems" in schema for schema in conjuncts):
        _join([schema for schema in conjuncts if "items" in schema], "items")


def _join(holders: list[dict[str, Any]], key: str) -> None:
    """Combines the schemas at a key if one of them has a reference."""
    found = [holder[key] for holder in holders]
    if len(found) < 2 or not any(map(_has_reference, found)):
        return
    parts = {json.dumps(part, sort_keys=True): part for schema in found for part in _parts(schema)}
    unique = list(parts.values())
    for holder in holders:
        holder[key] = True
    holders[0][key] = (
        unique[0] if len(unique) == 1 else {"allOf": [parts[text] for text in sorted(parts)]}
    )


def _has_reference(schema: Any) -> bool:
    return next(_references(schema), None) is not None


def _parts(schema: Any) -> Iterator[Any]:
    """Yields the schemas that a schema only combines; itself if it is not of that kind."""
    if isinstance(schema, dict) and schema.keys() == {"allOf"}:
        for branch in schema["allOf"]:
            yield from _parts(branch)
    else:
        yield schema


def _conjuncts(schema: Any) -> Iterator[dict[str, Any]]:
    """Yields the schemas of a conjunction that are not alternatives."""
    if isinstance(schema, dict):
        yield schema
        for branch in schema.get("allOf", ()):
            yield from _conjuncts(branch)


def _references(schema: Any) -> Iterator[str]:
    pending = [schema]
    while pending:
        inner = pending.pop()
        if isinstance(inner, dict):
            if "$ref" in inner:
                yield inner["$ref"]
            pending.extend(child for _, child in subschemas(inner))

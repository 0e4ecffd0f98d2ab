"""Conditions under which an object cannot satisfy another branch of a `oneOf`.

A complement has an alternative for every way to violate a schema, and those of several branches
multiply. Objects of different branches usually differ in their names: one branch requires a name
that the others do not describe, or allows no other names than its own.
"""

from collections.abc import Callable, Iterable
from typing import Any

from friendli_endpoint.chat.structured.json_schema.document import Document
from friendli_endpoint.chat.structured.json_schema.paths import SchemaPath

__all__ = ["Separation"]

_MAX_DEPTH = 6
_MAX_NAMES = 3
"""Alternatives of one condition; they multiply with those of others."""


class Separation:
    """Finds conditions on names that separate subschemas of one document.

    Args:
        document: The document.
        schema_at: Returns a subschema without the keywords that its draft ignores.
    """

    def __init__(self, document: Document, schema_at: Callable[[SchemaPath], Any]) -> None:
        self._document = document
        self._schema_at = schema_at

    def without_name(
        self, path: SchemaPath, excluded: SchemaPath, *, may_be_described: bool
    ) -> dict[str, Any] | None:
        """Returns that an object lacks a name that the other schema requires, rewritten.

        Args:
            path: Path of the schema that objects shall satisfy.
            excluded: Path of the schema that they shall not satisfy.
            may_be_described: Whether the first schema may describe a property of that name.

        Returns:
            The condition; None if the other schema requires no such name.
        """
        names = self._required(excluded, _MAX_DEPTH) - self._required(path, _MAX_DEPTH)
        described = self._described(path, _MAX_DEPTH)
        for name in [*sorted(names - described), *sorted(names & described)]:
            if may_be_described or name not in described:
                return {"type": "object", "properties": {name: False}}
        return None

    def with_own_name(self, path: SchemaPath, excluded: SchemaPath) -> dict[str, Any] | None:
        """Returns that an object has a name that the other schema does not allow, rewritten.

        Args:
            path: Path of the schema that objects shall satisfy.
            excluded: Path of the schema that they shall not satisfy.

        Returns:
            The condition; None if the other schema allows all names of the first one.
        """
        allowed = self._allowed(excluded, _MAX_DEPTH)
        if allowed is None:
            return None
        names = sorted(self._described(path, _MAX_DEPTH) - allowed)[:_MAX_NAMES]
        branches = [{"type": "object", "required": [name]} for name in names]
        return {"anyOf": branches} if len(branches) > 1 else next(iter(branches), None)

    def is_object(self, path: SchemaPath, depth: int = _MAX_DEPTH) -> bool:
        """Whether only objects satisfy a schema; False if that is not certain."""
        schema = self._schema_at(path)
        if not isinstance(schema, dict) or not depth:
            return schema is False
        return (
            schema.get("type") in ("object", ["object"])
            or any(self.is_object(inner, depth - 1) for inner in self._conjuncts(path, schema))
            or any(
                all(self.is_object(inner, depth - 1) for inner in inners)
                for inners in _alternatives(path, schema)
            )
        )

    def _required(self, path: SchemaPath, depth: int) -> frozenset[str]:
        """Returns names that every object which satisfies a schema has."""
        schema = self._schema_at(path)
        if not isinstance(schema, dict) or not depth:
            return frozenset()
        names: Any = schema.get("required")
        found = {name for name in names if isinstance(name, str)} if _is_list(names) else set()
        for inner in self._conjuncts(path, schema):
            found |= self._required(inner, depth - 1)
        for inners in _alternatives(path, schema):
            first, *others = (self._required(inner, depth - 1) for inner in inners)
            found |= first.intersection(*others)
        return frozenset(found)

    def _described(self, path: SchemaPath, depth: int) -> frozenset[str]:
        """Returns the names that a schema lists for the properties of an object."""
        schema = self._schema_at(path)
        if not isinstance(schema, dict) or not depth:
            return frozenset()
        named = schema.get("properties")
        found = set(named) if isinstance(named, dict) else set()
        inners = [*self._conjuncts(path, schema)]
        inners += [inner for branches in _alternatives(path, schema) for inner in branches]
        return frozenset(found.union(*(self._described(inner, depth - 1) for inner in inners)))

    def _allowed(self, path: SchemaPath, depth: int) -> frozenset[str] | None:
        """Returns the only names that an object may have; None if that is not certain."""
        schema = self._schema_at(path)
        if not isinstance(schema, dict) or not depth:
            return frozenset() if schema is False else None
        if schema.get("additionalProperties") is False and not schema.get("patternProperties"):
            named = schema.get("properties", {})
            return frozenset(named) if isinstance(named, dict) else None
        for inner in self._conjuncts(path, schema):
            if (allowed := self._allowed(inner, depth - 1)) is not None:
                return allowed
        for inners in _alternatives(path, schema):
            branches = [self._allowed(inner, depth - 1) for inner in inners]
            known = [branch for branch in branches if branch is not None]
            if len(known) == len(branches):
                return frozenset().union(*known)
        return None

    def _conjuncts(self, path: SchemaPath, schema: dict[str, Any]) -> Iterable[SchemaPath]:
        """Yields the paths of the schemas that must hold too."""
        if isinstance(schema.get("$ref"), str):
            target = self._document.resolve(schema["$ref"], path)
            if target is not None:
                yield target
        if _is_list(schema.get("allOf")):
            yield from ((*path, "allOf", index) for index in range(len(schema["allOf"])))


def _alternatives(path: SchemaPath, schema: dict[str, Any]) -> Iterable[list[SchemaPath]]:
    """Yields the paths of schemas one of which must hold too."""
    for keyword in ("anyOf", "oneOf"):
        if _is_list(schema.get(keyword)) and schema[keyword]:
            yield [(*path, keyword, index) for index in range(len(schema[keyword]))]


def _is_list(value: object) -> bool:
    return isinstance(value, list)

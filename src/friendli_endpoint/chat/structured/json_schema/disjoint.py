"""Detection of `oneOf` branches that exclude each other, as far as a cheap comparison shows it.

The compiler has alternatives only. If no value can satisfy two branches, `oneOf` and `anyOf` are
equivalent. The unions of pydantic, and most unions that people write, differ in a constant.
"""

from collections.abc import Iterator
from functools import cache
from itertools import combinations
from typing import Any

from friendli_endpoint.chat.structured.json_schema.document import Document
from friendli_endpoint.chat.structured.json_schema.paths import SchemaPath
from friendli_endpoint.chat.structured.json_schema.separation import Separation

__all__ = ["Comparison"]

_MAX_WORK = 200_000
"""Comparisons of two schemas per document; a comparison of long lists counts as several."""

_ENTRIES_PER_COMPARISON = 16
_MAX_DEPTH = 10

_SCALARS = (str, int, float, bool, type(None))


class Comparison:
    """Compares subschemas of one document, with a bounded amount of work.

    Args:
        document: The document.

    Attributes:
        separation: Finds conditions on names that separate two of them.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._work_left = _MAX_WORK
        self._schema = cache(self._effective_schema)
        self._types = cache(lambda path: _types(self._schema(path)))
        self._values = cache(lambda path: _values(self._schema(path)))
        self._required = cache(lambda path: _required(self._schema(path)))
        self.separation = Separation(document, self._schema)

    def overlapping_pairs(self, path: SchemaPath, count: int) -> Iterator[tuple[int, int]]:
        """Finds pairs of `oneOf` branches that may hold for the same value.

        The search is lazy: a caller that has seen enough pairs stops it, because it would take
        long for many branches.

        Args:
            path: Path of the list of branches.
            count: Number of branches.

        Yields:
            Indexes of two branches, the lower one first.
        """
        outer_types = self._types(path[:-1])
        for a, b in combinations(range(count), 2):
            if not self._are_disjoint((*path, a), (*path, b), outer_types, _MAX_DEPTH):
                yield a, b

    def _are_disjoint(
        self, a: SchemaPath, b: SchemaPath, outer_types: frozenset[str], depth: int
    ) -> bool:
        """Whether no value satisfies both schemas; False if that is not certain.

        Args:
            a: Path of the first schema.
            b: Path of the second schema.
            outer_types: The types that surrounding schemas allow; empty if unknown.
            depth: Remaining levels to descend.
        """
        schema_a, schema_b = self._schema(a), self._schema(b)
        self._work_left -= 1
        if schema_a is False or schema_b is False:
            return True
        if not (isinstance(schema_a, dict) and isinstance(schema_b, dict)):
            return False
        if not depth or self._work_left < 0:
            return False
        types_a, types_b = self._types(a) or outer_types, self._types(b) or outer_types
        if types_a and types_b and not (types_a & types_b):
            return True
        values_a, values_b = self._values(a), self._values(b)
        if values_a is not None and values_b is not None:
            self._count(min(len(values_a), len(values_b)))
            if values_a.isdisjoint(values_b):
                return True
        if types_a == types_b == {"object"} and self._have_disjoint_property(a, b, depth):
            return True
        return self._excludes(a, b, outer_types, depth) or self._excludes(b, a, outer_types, depth)

    def _count(self, entries: int) -> None:
        """Counts the work of going through a list."""
        self._work_left -= entries // _ENTRIES_PER_COMPARISON

    def _effective_schema(self, path: SchemaPath) -> Any:
        """Returns a schema without the keywords that its draft ignores.

        Up to draft 7, keywords beside `$ref` are ignored; before draft 6, `const` is.
        """
        schema = self._document.at(path)
        draft = self._document.draft
        if isinstance(schema, dict) and draft is not None and draft <= 7:
            if "$ref" in schema:
                return {"$ref": schema["$ref"]}
            if "const" in schema and draft <= 4:
                return {key: value for key, value in schema.items() if key != "const"}
        return schema

    def _excludes(
        self, a: SchemaPath, b: SchemaPath, outer_types: frozenset[str], depth: int
    ) -> bool:
        """Whether the schemas that `a` refers to or combines are disjoint from `b`."""
        schema = self._schema(a)
        outer_types = self._types(a) or outer_types
        if isinstance(schema.get("$ref"), str):
            target = self._document.resolve(schema["$ref"], a)
            if target is not None and self._are_disjoint(target, b, outer_types, depth - 1):
                return True
        for keyword, quantifier in (("allOf", any), ("anyOf", all), ("oneOf", all)):
            branches = schema.get(keyword)
            if isinstance(branches, list) and branches:
                paths = ((*a, keyword, index) for index in range(len(branches)))
                if quantifier(
                    self._are_disjoint(path, b, outer_types, depth - 1) for path in paths
                ):
                    return True
        return False

    def _have_disjoint_property(self, a: SchemaPath, b: SchemaPath, depth: int) -> bool:
        """Whether a property that one of two objects requires cannot be the same in both."""
        schema_a, schema_b = self._schema(a), self._schema(b)
        names = self._required(a) | self._required(b)
        self._count(len(names))
        for name in sorted(names):
            allowed = [_allows_property(schema_a, name), _allows_property(schema_b, name)]
            if False in allowed:
                return True
            if None in allowed:
                continue
            paths = (*a, "properties", name), (*b, "properties", name)
            if self._are_disjoint(*paths, frozenset(), depth - 1):
                return True
        return False


def _required(schema: dict[str, Any]) -> set[str]:
    names = schema.get("required", ())
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def _allows_property(schema: dict[str, Any], name: str) -> bool | None:
    """Returns True for a described property, False for a forbidden one, None if unknown."""
    properties = schema.get("properties")
    if isinstance(properties, dict) and name in properties:
        return properties[name] is not False
    closed = schema.get("additionalProperties") is False and not schema.get("patternProperties")
    return False if closed else None


def _types(schema: dict[str, Any]) -> frozenset[str]:
    """Returns the JSON types that a schema names, integers as numbers; empty if it names none."""
    named = schema.get("type", ())
    names = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    if not names and (values := _values(schema)) is not None:
        names = [value[0] for value in values]
    return frozenset("number" if name == "integer" else str(name) for name in names)


def _values(schema: dict[str, Any]) -> frozenset[tuple[str, Any]] | None:
    """Returns the values of `const` or `enum` with their types; None if some are not scalars."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list) or not all(isinstance(value, _SCALARS) for value in values):
        return None
    return frozenset((_type_of(value), value) for value in values)


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "null"

"""Whether the branches of a `oneOf` exclude each other, as far as that is plain to see.

The compiler knows alternatives only. Where no value can satisfy two branches, `oneOf` and `anyOf`
mean the same; pydantic's unions, and most that people write, are told apart by a constant.
"""

from collections.abc import Iterator
from functools import cache
from itertools import combinations
from typing import Any

from friendli_endpoint.chat.structured.json_schema.document import Document
from friendli_endpoint.chat.structured.json_schema.place import Place

__all__ = ["Comparison"]

_MAX_WORK = 200_000
"""Comparisons of two schemas in a document; one of long lists counts for several."""

_ENTRIES_PER_COMPARISON = 16
_MOST_STEPS = 6

_SCALARS = (str, int, float, bool, type(None))


class Comparison:
    """Compares schemas of one document, for as long as that is little work.

    Args:
        document: Where they are.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._work_left = _MAX_WORK
        self._seen = cache(self._schema)
        self._types = cache(lambda place: _types(self._seen(place)))
        self._values = cache(lambda place: _values(self._seen(place)))
        self._required = cache(lambda place: _required(self._seen(place)))

    def overlapping_pairs(self, place: Place, count: int) -> Iterator[tuple[int, int]]:
        """The schemas of a `oneOf`, two by two, that may hold for the same value.

        They are found one after the other: a caller that has seen enough of them stops the search,
        which would take long where there are many schemas.

        Args:
            place: Of the list that holds them.
            count: How many there are.

        Yields:
            Indices of two of them, the lower one first.
        """
        around = self._types(place[:-1])
        for a, b in combinations(range(count), 2):
            if not self._apart((*place, a), (*place, b), around, _MOST_STEPS):
                yield a, b

    def _apart(self, a: Place, b: Place, around: frozenset[str], steps: int) -> bool:
        """Whether no value satisfies the schemas at both places; False where that is not plain.

        Args:
            a: One place.
            b: The other place.
            around: The types that values can have at all; none if nothing is known.
            steps: How much deeper to look.
        """
        one, other = self._seen(a), self._seen(b)
        self._work_left -= 1
        if one is False or other is False:
            return True
        if not (isinstance(one, dict) and isinstance(other, dict)):
            return False
        if not steps or self._work_left < 0:
            return False
        types_a, types_b = self._types(a) or around, self._types(b) or around
        if types_a and types_b and not (types_a & types_b):
            return True
        values_a, values_b = self._values(a), self._values(b)
        if values_a is not None and values_b is not None:
            self._count(min(len(values_a), len(values_b)))
            if values_a.isdisjoint(values_b):
                return True
        if types_a == types_b == {"object"} and self._properties_apart(a, b, steps):
            return True
        return self._within(a, b, around, steps) or self._within(b, a, around, steps)

    def _count(self, entries: int) -> None:
        """Counts the work of going through a list."""
        self._work_left -= entries // _ENTRIES_PER_COMPARISON

    def _schema(self, place: Place) -> Any:
        """A schema as its draft reads it: `$ref` once hid its neighbours, and const is newer."""
        schema = self._document.at(place)
        draft = self._document.draft
        if isinstance(schema, dict) and draft is not None and draft <= 7:
            if "$ref" in schema:
                return {"$ref": schema["$ref"]}
            if "const" in schema and draft <= 4:
                return {key: value for key, value in schema.items() if key != "const"}
        return schema

    def _within(self, a: Place, b: Place, around: frozenset[str], steps: int) -> bool:
        """Whether what `a` refers to, or combines, is apart from `b`."""
        schema = self._seen(a)
        around = self._types(a) or around
        if isinstance(schema.get("$ref"), str):
            target = self._document.resolve(schema["$ref"], a)
            if target is not None and self._apart(target, b, around, steps - 1):
                return True
        for keyword, enough in (("allOf", any), ("anyOf", all), ("oneOf", all)):
            branches = schema.get(keyword)
            if isinstance(branches, list) and branches:
                inner = ((*a, keyword, index) for index in range(len(branches)))
                if enough(self._apart(branch, b, around, steps - 1) for branch in inner):
                    return True
        return False

    def _properties_apart(self, a: Place, b: Place, steps: int) -> bool:
        """Whether a property that one of two objects must have cannot be the same in both."""
        one, other = self._seen(a), self._seen(b)
        names = self._required(a) | self._required(b)
        self._count(len(names))
        for name in sorted(names):
            inner = [_property(one, name), _property(other, name)]
            if False in inner:
                return True
            if None in inner:
                continue
            places = (*a, "properties", name), (*b, "properties", name)
            if self._apart(*places, frozenset(), steps - 1):
                return True
        return False


def _required(schema: dict[str, Any]) -> set[str]:
    names = schema.get("required", ())
    return {each for each in names if isinstance(each, str)} if isinstance(names, list) else set()


def _property(schema: dict[str, Any], name: str) -> bool | None:
    """True if a property is named, False if there cannot be one, None if nothing is said of it."""
    properties = schema.get("properties")
    if isinstance(properties, dict) and name in properties:
        return properties[name] is not False
    closed = schema.get("additionalProperties") is False and not schema.get("patternProperties")
    return False if closed else None


def _types(schema: dict[str, Any]) -> frozenset[str]:
    """The JSON types that a schema names, an integer being a number; none where it names none."""
    named = schema.get("type", ())
    names = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    if not names and (values := _values(schema)) is not None:
        names = [value[0] for value in values]
    return frozenset("number" if name == "integer" else str(name) for name in names)


def _values(schema: dict[str, Any]) -> frozenset[tuple[str, Any]] | None:
    """The only values that a schema allows, told apart by type; None where that is not plain."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list) or not all(isinstance(each, _SCALARS) for each in values):
        return None
    return frozenset((_type_of(each), each) for each in values)


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "null"

"""Arrays of a JSON schema whose items must differ, found by the path of a value."""

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

__all__ = ["Schemas", "UniqueArrays"]

_MAX_REFERENCES = 16
_MAX_KNOWN = 10_000
"""Transitions that are kept; the names of properties are only those that a schema lists."""

Schemas: TypeAlias = frozenset[int]
"""Numbers of the schemas that might apply to a value."""


class UniqueArrays:
    """The schemas that apply to each value of an output, as far as `uniqueItems` is concerned.

    Which of several alternatives holds is not known, so all of them count: an array may have to
    differ in its items though another alternative does not ask for it.

    Args:
        root: A rewritten schema, with its definitions in `$defs`.

    Attributes:
        start: The schemas of the whole output.
    """

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._definitions = root.get("$defs", {})
        self._schemas: list[dict[str, Any]] = []
        self._numbers: dict[int, int] = {}
        self._known: dict[tuple[Schemas, str | int | None], Schemas] = {}
        self.start = self._closure([root])
        self._constants: dict[Schemas, frozenset[bytes]] = {}
        self._names: dict[Schemas, frozenset[str]] = {}

    @classmethod
    def of_text(cls, text: str) -> tuple[str, "UniqueArrays | None"]:
        """Splits the text of a rewritten schema into what the compiler takes, and the rest.

        Returns:
            The schema without `uniqueItems`, which the compiler rejects, and the arrays that have
            it; None if there are none.
        """
        if '"uniqueItems"' not in text:
            return text, None
        root = json.loads(text)
        arrays = cls(json.loads(text))
        found = False
        pending = [root]
        while pending:
            schema = pending.pop()
            found = (schema.pop("uniqueItems", None) is True) or found
            pending.extend(_direct(schema))
        return (json.dumps(root), arrays) if found else (text, None)

    def is_unique(self, schemas: Schemas) -> bool:
        """Whether the items of an array of these schemas must differ."""
        return any(self._schemas[number].get("uniqueItems") is True for number in schemas)

    def constants(self, schemas: Schemas) -> frozenset[bytes]:
        """Returns the JSON of all values of an item of an array, if one list has them all."""
        if schemas not in self._constants:
            self._constants[schemas] = self._listed(schemas)
        return self._constants[schemas]

    def _listed(self, schemas: Schemas) -> frozenset[bytes]:
        for number in schemas:
            item, seen = self._schemas[number].get("items"), 0
            while isinstance(item, dict) and item.keys() == {"$ref"} and seen < _MAX_REFERENCES:
                name = item["$ref"].rpartition("/")[2]
                item, seen = self._definitions.get(name, self._root), seen + 1
            if isinstance(item, dict) and ("enum" in item or "const" in item):
                values = item["enum"] if "enum" in item else [item["const"]]
                return frozenset(
                    json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
                    for value in values
                )
        return frozenset()

    def of_item(self, schemas: Schemas, index: int) -> Schemas:
        """Returns the schemas of an item of an array."""
        num_first = max((len(self._schemas[n].get("prefixItems", ())) for n in schemas), default=0)
        key = schemas, min(index, num_first)
        if key not in self._known:
            self._keep(key, self._closure(self._items(schemas, index)))
        return self._known[key]

    def of_property(self, schemas: Schemas, name: str) -> Schemas:
        """Returns the schemas of a property of an object."""
        if schemas not in self._names:
            self._names[schemas] = frozenset().union(
                *(self._schemas[number].get("properties", ()) for number in schemas)
            )
        key = schemas, name if name in self._names[schemas] else None
        if key not in self._known:
            self._keep(key, self._closure(self._values(schemas, key[1])))
        return self._known[key]

    def _keep(self, key: tuple[Schemas, str | int | None], found: Schemas) -> None:
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[key] = found

    def _items(self, schemas: Schemas, index: int) -> Iterator[Any]:
        for number in schemas:
            schema = self._schemas[number]
            prefix = schema.get("prefixItems", ())
            yield prefix[index] if index < len(prefix) else schema.get("items")

    def _values(self, schemas: Schemas, name: str | None) -> Iterator[Any]:
        for number in schemas:
            schema = self._schemas[number]
            named = schema.get("properties", {})
            yield from schema.get("patternProperties", {}).values()
            yield named[name] if name in named else schema.get("additionalProperties")

    def _closure(self, schemas: Any) -> Schemas:
        """Returns these schemas, and those that they combine for the same value."""
        found: set[int] = set()
        pending = list(schemas)
        while pending:
            schema = pending.pop()
            if not isinstance(schema, dict) or self._number(schema) in found:
                continue
            found.add(self._number(schema))
            pending += [*schema.get("allOf", ()), *schema.get("anyOf", ())]
            if "$ref" in schema:
                name = schema["$ref"].rpartition("/")[2]
                pending.append(self._definitions.get(name, self._root))
        return frozenset(found)

    def _number(self, schema: dict[str, Any]) -> int:
        number = self._numbers.setdefault(id(schema), len(self._schemas))
        if number == len(self._schemas):
            self._schemas.append(schema)
        return number


_LISTS = ("allOf", "anyOf", "prefixItems")
_MAPS = ("$defs", "patternProperties", "properties")
_SINGLE = ("additionalProperties", "items")


def _direct(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the direct subschemas of a rewritten schema."""
    found: list[Any] = [schema.get(keyword) for keyword in _SINGLE]
    for keyword in _LISTS:
        found.extend(schema.get(keyword, ()))
    for keyword in _MAPS:
        found.extend(schema.get(keyword, {}).values())
    return (inner for inner in found if isinstance(inner, dict))

"""How large a schema becomes in the compiler, which writes out what `allOf` and `anyOf` combine.

A reference that stands alone stays one. One that is combined with anything is replaced by a copy of
what it refers to, and where alternatives are combined, there is a copy for each: a schema of a few
lines can become one that fills the memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from friendli_endpoint.chat.structured.json_schema.document import subschemas
from friendli_endpoint.chat.structured.json_schema.place import SchemaFault, definition_name

__all__ = ["check_expansion"]

_MOST = 60_000
_COMBINED = frozenset({"$ref", "allOf", "anyOf"})


def check_expansion(root: Any, definitions: dict[str, Any]) -> None:
    """Refuses a schema that would become too large.

    Args:
        root: It, rewritten.
        definitions: What its references lead to, by name.

    Raises:
        SchemaFault: Said of the whole schema.
    """
    expansion = _Expansion(root, definitions)
    size = 0
    for each in (root, *definitions.values()):
        size += expansion.size(each)
        if size > _MOST:
            raise SchemaFault((), "it is too complex: combining its alternatives takes too much")


@dataclass(frozen=True, slots=True)
class _Extent:
    """How many alternatives a schema is written out as, and how large each of them is."""

    count: int
    size: int


class _Expansion:
    def __init__(self, root: Any, definitions: dict[str, Any]) -> None:
        self._root = root
        self._definitions = definitions
        self._known: dict[str, _Extent] = {}

    def size(self, schema: Any) -> int:
        """How large a schema becomes where it is combined with nothing around it."""
        if not isinstance(schema, dict) or schema.keys() == {"$ref"}:
            return 1
        if _COMBINED.isdisjoint(schema):
            return _capped(1 + self._sizes([inner for _, inner in subschemas(schema)]))
        if schema.keys() == {"anyOf"}:
            return 1 + self._sizes(schema["anyOf"])
        extent = self._extent(schema)
        return _capped(extent.count * extent.size)

    def _sizes(self, schemas: Iterable[Any]) -> int:
        return _capped(sum(self.size(each) for each in schemas))

    def _extent(self, schema: Any) -> _Extent:
        """What a schema becomes where it is combined with others."""
        if not isinstance(schema, dict):
            return _Extent(1, 1)
        inner = (each for steps, each in subschemas(schema) if steps[0] not in _COMBINED)
        parts = [_Extent(1, 1 + self._sizes(inner)), *map(self._extent, schema.get("allOf", ()))]
        if "$ref" in schema:
            parts.append(self._referred(definition_name(schema["$ref"])))
        if "anyOf" in schema:
            options = [self._extent(each) for each in schema["anyOf"]]
            largest = max((each.size for each in options), default=1)
            parts.append(_Extent(sum(each.count for each in options), largest))
        count = 1
        for each in parts:
            count = _capped(count * each.count)
        return _Extent(count, _capped(sum(each.size for each in parts)))

    def _referred(self, name: str) -> _Extent:
        if name not in self._known:
            self._known[name] = _Extent(1, 1)  # For references that lead back here.
            self._known[name] = self._extent(self._definitions.get(name, self._root))
        return self._known[name]


def _capped(size: int) -> int:
    return min(size, _MOST + 1)

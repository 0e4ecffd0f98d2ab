"""Limit on the size of a schema in the compiler, which expands combinations of schemas.

A reference alone stays a reference. One that is combined with other keywords is replaced by a copy
of its target, and if alternatives are combined, there is a copy for each: a schema of a few lines
can become one that fills the memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from friendli_endpoint.chat.structured.json_schema.document import subschemas
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, definition_name

__all__ = ["check_expansion"]

_MAX_SIZE = 60_000
_COMBINING = frozenset({"$ref", "allOf", "anyOf"})


def check_expansion(root: Any, definitions: dict[str, Any]) -> None:
    """Checks the estimated size of a schema after expansion.

    Args:
        root: The rewritten schema.
        definitions: Rewritten targets of its references, by name.

    Raises:
        SchemaError: At the root: the schema is too large.
    """
    expansion = _Expansion(root, definitions)
    size = 0
    for schema in (root, *definitions.values()):
        size += expansion.size(schema)
        if size > _MAX_SIZE:
            raise SchemaError((), "it is too complex: it combines too many alternatives")


@dataclass(frozen=True, slots=True)
class _Extent:
    """Number of alternatives that a schema expands to, and the size of each."""

    count: int
    size: int


class _Expansion:
    def __init__(self, root: Any, definitions: dict[str, Any]) -> None:
        self._root = root
        self._definitions = definitions
        self._known: dict[str, _Extent] = {}

    def size(self, schema: Any) -> int:
        """Returns the size of a schema that is not combined with schemas around it."""
        if not isinstance(schema, dict) or schema.keys() == {"$ref"}:
            return 1
        if _COMBINING.isdisjoint(schema):
            return _capped(1 + self._sizes([inner for _, inner in subschemas(schema)]))
        if schema.keys() == {"anyOf"}:
            return 1 + self._sizes(schema["anyOf"])
        extent = self._extent(schema)
        return _capped(extent.count * extent.size)

    def _sizes(self, schemas: Iterable[Any]) -> int:
        return _capped(sum(self.size(schema) for schema in schemas))

    def _extent(self, schema: Any) -> _Extent:
        """Returns the extent of a schema that is combined with others."""
        if not isinstance(schema, dict):
            return _Extent(1, 1)
        inner = (child for keys, child in subschemas(schema) if keys[0] not in _COMBINING)
        factors = [_Extent(1, 1 + self._sizes(inner)), *map(self._extent, schema.get("allOf", ()))]
        if "$ref" in schema:
            factors.append(self._target_extent(definition_name(schema["$ref"])))
        if "anyOf" in schema:
            branches = [self._extent(branch) for branch in schema["anyOf"]]
            max_size = max((branch.size for branch in branches), default=1)
            factors.append(_Extent(sum(branch.count for branch in branches), max_size))
        count = 1
        for factor in factors:
            count = _capped(count * factor.count)
        return _Extent(count, _capped(sum(factor.size for factor in factors)))

    def _target_extent(self, name: str) -> _Extent:
        if name not in self._known:
            self._known[name] = _Extent(1, 1)  # For recursive references.
            self._known[name] = self._extent(self._definitions.get(name, self._root))
        return self._known[name]


def _capped(size: int) -> int:
    return min(size, _MAX_SIZE + 1)

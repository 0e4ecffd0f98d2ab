"""Limit on the number of patterns that one string must match: each doubles the compiler's work."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from friendli_endpoint.chat.structured.json_schema.document import subschemas
from friendli_endpoint.chat.structured.json_schema.paths import (
    SchemaError,
    SchemaPath,
    definition_name,
)

__all__ = ["check_conjunctions"]

_MAX_PATTERNS = 12
"""Measured: 12 patterns take 0.1 s, 20 take 2 s, 25 more than a minute."""

_MAX_VISITS = 200_000

_COMBINING = frozenset({"$ref", "allOf", "anyOf"})

_Conjunct: TypeAlias = tuple[dict[str, Any], frozenset[str]]
"""A schema, and the references that were followed to it."""


def check_conjunctions(root: Any, definitions: dict[str, Any]) -> None:
    """Checks that no string has to match too many patterns.

    Args:
        root: The rewritten schema.
        definitions: Rewritten targets of its references, by name.

    Raises:
        SchemaError: At the root.
    """
    conjunctions = _Conjunctions(root, definitions)
    pending = [root, *definitions.values()]
    while pending:
        schema = pending.pop()
        if isinstance(schema, dict):
            if not _COMBINING.isdisjoint(schema):
                conjunctions.check([schema])
            pending.extend(inner for _, inner in subschemas(schema))


class _Conjunctions:
    """Sets of schemas that must all hold for the same value."""

    def __init__(self, root: Any, definitions: dict[str, Any]) -> None:
        self._root = root
        self._definitions = definitions
        self._visits = 0

    def check(self, schemas: list[Any]) -> None:
        """Checks the number of patterns in a conjunction, at every depth of the value."""
        conjuncts = list(self._conjuncts(schemas, frozenset()))
        if self._num_patterns(conjuncts) > _MAX_PATTERNS:
            raise SchemaError(
                (), f"a string would have to match more than {_MAX_PATTERNS} patterns at once"
            )
        if len(conjuncts) <= _MAX_PATTERNS:
            return  # then at most that many schemas apply to the same property
        children = [self._children(conjunct) for conjunct in conjuncts]
        counts = Counter(path for schemas_at in children for path in schemas_at)
        for path, count in counts.items():
            if count > _MAX_PATTERNS:
                self.check([schemas_at[path] for schemas_at in children if path in schemas_at])

    def _conjuncts(self, schemas: Iterable[Any], followed: frozenset[str]) -> Iterator[_Conjunct]:
        """Yields the schemas and those that they combine by `allOf` and `$ref`."""
        for schema in schemas:
            self._visits += 1
            if self._visits > _MAX_VISITS:
                raise SchemaError((), "it is too complex: it combines too many schemas")
            if not isinstance(schema, dict):
                continue
            yield schema, followed
            yield from self._conjuncts(schema.get("allOf", ()), followed)
            name = schema.get("$ref")
            if isinstance(name, str) and name not in followed:
                target = self._definitions.get(definition_name(name), self._root)
                yield from self._conjuncts([target], followed | {name})

    def _num_patterns(self, conjuncts: Iterable[_Conjunct]) -> int:
        """Counts the patterns of a conjunction; for alternatives, the maximum over them."""
        count = 0
        for schema, followed in conjuncts:
            count += len({"pattern", "format"} & schema.keys())
            branches = schema.get("anyOf", ())
            counts = (
                self._num_patterns(self._conjuncts([branch], followed)) for branch in branches
            )
            count += max(counts, default=0)
        return count

    def _children(self, conjunct: _Conjunct) -> dict[SchemaPath, Any]:
        """Returns the schemas of the items and properties of the value, by their paths."""
        schema, followed = conjunct
        children = {path: child for path, child in subschemas(schema) if path[0] not in _IN_PLACE}
        alternatives: dict[SchemaPath, list[Any]] = {}
        for branch in schema.get("anyOf", ()):
            merged: dict[SchemaPath, list[Any]] = {}
            for branch_conjunct in self._conjuncts([branch], followed):
                for path, child in self._children(branch_conjunct).items():
                    merged.setdefault(path, []).append(child)
            for path, schemas in merged.items():
                alternatives.setdefault(path, []).append({"allOf": schemas})
        for path, branches in alternatives.items():
            any_of = {"anyOf": branches}
            children[path] = {"allOf": [children[path], any_of]} if path in children else any_of
        return children


_IN_PLACE = ("$defs", "allOf", "anyOf")
"""Keywords whose schemas apply to the same value, or to none."""

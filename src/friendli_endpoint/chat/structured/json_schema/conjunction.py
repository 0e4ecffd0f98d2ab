"""How many patterns one string must match: the compiler's work doubles with each of them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from friendli_endpoint.chat.structured.json_schema.document import subschemas
from friendli_endpoint.chat.structured.json_schema.place import Place, SchemaFault, definition_name

__all__ = ["check_conjunctions"]

_MAX_PATTERNS = 12
"""Measured: twelve patterns take 0.1 s, twenty take 2, twenty-five more than a minute."""

_MAX_VISITS = 200_000

_COMBINING = frozenset({"$ref", "allOf", "anyOf"})

_Member: TypeAlias = tuple[dict[str, Any], frozenset[str]]
"""A schema, and the references that were followed to it."""


def check_conjunctions(root: Any, definitions: dict[str, Any]) -> None:
    """Refuses a schema under which one string would have to match too many patterns.

    Args:
        root: The schema, rewritten.
        definitions: Rewritten schemas that its references lead to, by name.

    Raises:
        SchemaFault: Said of the whole schema.
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
    """Schemas that must all hold for the same value."""

    def __init__(self, root: Any, definitions: dict[str, Any]) -> None:
        self._root = root
        self._definitions = definitions
        self._visits = 0

    def check(self, schemas: list[Any]) -> None:
        """Refuses schemas whose patterns, at whatever depth of the value, are too many."""
        members = list(self._members(schemas, frozenset()))
        if self._num_patterns(members) > _MAX_PATTERNS:
            raise SchemaFault(
                (), f"a string would have to match more than {_MAX_PATTERNS} patterns at once"
            )
        if len(members) <= _MAX_PATTERNS:
            return  # no more than so many can say something of the same property
        inner = [self._inner(member) for member in members]
        counts = Counter(place for places in inner for place in places)
        for place, count in counts.items():
            if count > _MAX_PATTERNS:
                self.check([places[place] for places in inner if place in places])

    def _members(self, schemas: Iterable[Any], referred: frozenset[str]) -> Iterator[_Member]:
        """The schemas and those that they combine by `allOf` and `$ref`."""
        for schema in schemas:
            self._visits += 1
            if self._visits > _MAX_VISITS:
                raise SchemaFault((), "it is too complex: it combines too many schemas")
            if not isinstance(schema, dict):
                continue
            yield schema, referred
            yield from self._members(schema.get("allOf", ()), referred)
            name = schema.get("$ref")
            if isinstance(name, str) and name not in referred:
                target = self._definitions.get(definition_name(name), self._root)
                yield from self._members([target], referred | {name})

    def _num_patterns(self, members: Iterable[_Member]) -> int:
        """Patterns of a conjunction; of alternatives those of the largest."""
        count = 0
        for schema, referred in members:
            count += len({"pattern", "format"} & schema.keys())
            branches = schema.get("anyOf", ())
            numbers = (self._num_patterns(self._members([branch], referred)) for branch in branches)
            count += max(numbers, default=0)
        return count

    def _inner(self, member: _Member) -> dict[Place, Any]:
        """The schemas for what is inside the value, by the steps that lead there."""
        schema, referred = member
        inner = {place: part for place, part in subschemas(schema) if place[0] not in _IN_PLACE}
        alternatives: dict[Place, list[Any]] = {}
        for branch in schema.get("anyOf", ()):
            together: dict[Place, list[Any]] = {}
            for part in self._members([branch], referred):
                for place, found in self._inner(part).items():
                    together.setdefault(place, []).append(found)
            for place, schemas in together.items():
                alternatives.setdefault(place, []).append({"allOf": schemas})
        for place, branches in alternatives.items():
            either = {"anyOf": branches}
            inner[place] = {"allOf": [inner[place], either]} if place in inner else either
        return inner


_IN_PLACE = ("$defs", "allOf", "anyOf")
"""Keywords whose schemas are for the same value, or for none."""

"""Array keywords for items: their schemas, and `contains` with `minContains` and `maxContains`.

A grammar cannot count the items that satisfy a schema. The positions of these items are therefore
chosen: there is an alternative for each choice among the first positions. With `maxContains`, all
other items must violate the schema. Arrays whose items are at other positions are not written.
"""

from collections.abc import Iterator
from itertools import combinations
from math import comb
from typing import Any

from friendli_endpoint.chat.structured.json_schema import arrays
from friendli_endpoint.chat.structured.json_schema.document import num_subschemas, subschemas
from friendli_endpoint.chat.structured.json_schema.drafts import is_known
from friendli_endpoint.chat.structured.json_schema.node import SchemaNode
from friendli_endpoint.chat.structured.json_schema.objects import num_candidates
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError

__all__ = ["items"]

_NUM_POSITIONS = 8
"""Positions after those of `prefixItems` that are chosen from."""
_MAX_ALTERNATIVES = 32
_MAX_PREFIXES = 10_000
"""Items in the `prefixItems` of all alternatives."""
_MAX_SMALL = 6
"""Schemas of items that the alternatives copy."""
_ITEMS = frozenset({"additionalItems", "contains", "items", "prefixItems", "unevaluatedItems"})
_MAX_CHOSEN = 32
"""Greatest `minContains`; a greater `maxContains` is lowered to it."""


def items(node: SchemaNode) -> None:
    """Rewrites the keywords for the schemas of items."""
    arrays.items(node)
    if "contains" not in node.schema:
        return
    min_count, max_count = _min_count(node), _max_count(node)
    if max_count is not None and max_count < min_count:
        raise SchemaError(node.at("maxContains"), f"it must be at least {min_count}")
    if min_count == 0 and max_count is None:
        return
    choices = _Choices(node)
    alternatives = list(
        choices.with_minimum(min_count)
        if max_count is None
        else choices.between(min_count, max_count)
    )
    if not alternatives:
        raise SchemaError(node.at("contains"), "no item can satisfy it")
    node.add_any_of_type("array", alternatives)


def _min_count(node: SchemaNode) -> int:
    """Returns the minimum number of items that satisfy `contains`.

    Raises:
        SchemaError: It is too large, or no array has so many.
    """
    is_given = _has_bounds(node) and "minContains" in node.schema
    min_count = node.count("minContains", 1) if is_given else 1
    path = node.at("minContains" if is_given else "contains")
    if min_count > _MAX_CHOSEN:
        raise SchemaError(path, f"it must be at most {_MAX_CHOSEN}")
    if min_count > node.count("maxItems", min_count):
        raise SchemaError(path, "it requires more items than maxItems allows")
    different = arrays.num_values(node, "contains") if node.schema.get("uniqueItems") else None
    if different is not None and min_count > different:
        raise SchemaError(path, f"only {different} of its items can differ")
    return min_count


def _max_count(node: SchemaNode) -> int | None:
    """Returns the maximum number of items that satisfy `contains`; None if there is none."""
    if not _has_bounds(node) or "maxContains" not in node.schema:
        return None
    max_count = node.count("maxContains", 0)
    if max_count >= node.count("maxItems", max_count + 1):
        return None
    return min(max_count, _MAX_CHOSEN)


def _has_bounds(node: SchemaNode) -> bool:
    """Whether validators evaluate `minContains` and `maxContains`."""
    return is_known("minContains", node.context.document.draft)


class _Choices:
    """Choices of the items that satisfy `contains`, for an array whose items are rewritten.

    The schemas of the items move from the array into the alternatives, which share definitions.

    Args:
        node: The array.
    """

    def __init__(self, node: SchemaNode) -> None:
        self._node = node
        self._first: list[Any] = node.out.pop("prefixItems", [])
        self._rest = node.out.pop("items", True)
        self._known: dict[tuple[int, int], Any] = {}
        """Combined schemas, by the identities of two that live as long as this."""
        schema = node.schema["contains"]
        self._is_small = _num_schemas(node) <= _MAX_SMALL
        self._makes_difference = schema not in (True, {})
        self._satisfied = schema
        if not isinstance(schema, bool):
            self._satisfied = {"$ref": node.context.reference_to(node.at("contains"))}
        num_items = len(self._first) + _NUM_POSITIONS
        self._num_positions = min(num_items, node.count("maxItems", num_items))
        self._max_alternatives = max(1, min(_MAX_ALTERNATIVES, _MAX_PREFIXES // num_items))

    def with_minimum(self, min_count: int) -> Iterator[dict[str, Any]]:
        """Yields arrays in which at least this number of items, at least 1, satisfy the schema."""
        for chosen in self._positions(min_count, self._max_alternatives):
            yield from self._array(dict.fromkeys(chosen, self._satisfied), chosen[-1] + 1, True)

    def between(self, min_count: int, max_count: int) -> Iterator[dict[str, Any]]:
        """Yields arrays in which all items violate the schema, except at some positions.

        Raises:
            SchemaError: A grammar cannot express the items that violate it.
        """
        violated = self._violated()
        num_first = num_candidates(min_count, max_count, self._max_alternatives)
        max_sets = self._max_alternatives // comb(num_first, min_count)
        for free in self._positions(max_count, max_sets):
            for chosen in combinations(free[:num_first], min_count):
                extra = dict.fromkeys(free, True) | dict.fromkeys(chosen, self._satisfied)
                yield from self._array(extra, chosen[-1] + 1 if chosen else 0, violated)

    def _positions(self, size: int, max_sets: int) -> Iterator[tuple[int, ...]]:
        """Yields sets of positions, each in increasing order."""
        num_positions = self._num_positions if self._makes_difference else size
        return combinations(range(num_candidates(size, num_positions, max_sets)), size)

    def _violated(self) -> Any:
        context, path = self._node.context, self._node.at("contains")
        violated = context.complement(self._node.schema["contains"], path, exact=False)
        return violated if isinstance(violated, bool) else {"$ref": context.define(violated)}

    def _array(
        self, extra: dict[int, Any], min_items: int, others: Any
    ) -> Iterator[dict[str, Any]]:
        """Yields an array with more schemas of its items, unless an item has no value.

        Args:
            extra: Further schemas of items, by position.
            min_items: Minimum number of items.
            others: A further schema of all other items.
        """
        num_items = max(len(self._first), *(position + 1 for position in extra), 0)
        prefix = [
            self._both(
                self._first[index] if index < len(self._first) else self._rest,
                extra.get(index, others),
            )
            for index in range(num_items)
        ]
        if False in prefix[:min_items]:
            return
        array = {"prefixItems": prefix, "items": self._both(self._rest, others)}
        if min_items:
            array["minItems"] = min_items
        yield array if prefix else {"items": array["items"]}

    def _both(self, schema: Any, extra: Any) -> Any:
        """Returns a schema that holds if both hold.

        The compiler drops an alternative in which a required item has no value, but rejects a
        definition that has none. Large schemas are defined all the same, unless `prefixItems`
        has others: copies at all positions would be too much work for it.
        """
        if isinstance(schema, bool):
            return schema and extra
        if isinstance(extra, bool):
            return extra and schema
        key = id(schema), id(extra)
        if key not in self._known:
            together: dict[str, Any] = {"allOf": [schema, extra]}
            if not self._is_small and not (self._first and extra is self._satisfied):
                together = {"$ref": self._node.context.define(together)}
            self._known[key] = together
        return self._known[key]


def _num_schemas(node: SchemaNode) -> int:
    """Counts the schemas in the items; in references to definitions those of the target."""
    document = node.context.document
    paths = [node.at(*keys) for keys, _ in subschemas(node.schema) if keys[0] in _ITEMS]
    return sum(num_subschemas(document.at(document.follow_references(path))) for path in paths)

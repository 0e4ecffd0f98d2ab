"""Object keywords: named properties, and number of properties."""

from collections.abc import Iterator, Sized
from itertools import combinations, takewhile
from math import comb
from typing import Any

from friendli_endpoint.chat.structured.json_schema.document import num_subschemas
from friendli_endpoint.chat.structured.json_schema.literals import check_text
from friendli_endpoint.chat.structured.json_schema.node import SchemaNode
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, SchemaPath

__all__ = ["check_count", "counts", "num_candidates", "properties", "required"]

_MAX_NAMED = 2_000
_MAX_PROPERTIES = 10_000
_MAX_SETS = 64
_MAX_NAMES = 1_000
"""Names of properties in all alternatives. With twice as many, the first tokens take too long."""
_MAX_COPIES = 30_000
"""Schemas of properties in all alternatives; `expansion.py` has the limit on the whole."""


def properties(node: SchemaNode) -> None:
    """Rewrites `properties`."""
    named = node.schema["properties"]
    check_count(named, node.at("properties"))
    for name in named:
        check_text(name, node.path, "properties", name)
    node.out["properties"] = {
        name: node.rewrite(schema, "properties", name) for name, schema in named.items()
    }


def required(node: SchemaNode) -> None:
    """Copies `required` without repetitions."""
    names = list(dict.fromkeys(node.schema["required"]))
    check_count(names, node.at("required"))
    for name in names:
        check_text(name, node.path, "required")
    node.out["required"] = names


def check_count(names: Sized, path: SchemaPath) -> None:
    """Checks that an object has few enough named properties to be compiled.

    The compiler's work grows with the square of their number.

    Raises:
        SchemaError: At the path.
    """
    if len(names) > _MAX_NAMED:
        raise SchemaError(path, f"it has more than {_MAX_NAMED:,} properties")


def counts(node: SchemaNode) -> None:
    """Rewrites `minProperties` and `maxProperties`.

    The compiler counts properties only where all that have a name are required; otherwise there is
    an alternative for each choice of those that are present.
    """
    min_count = node.count("minProperties", 0)
    max_count = node.count("maxProperties", _MAX_PROPERTIES)
    required, named = set(node.schema.get("required", ())), node.schema.get("properties", {})
    closed = node.schema.get("additionalProperties") is False
    closed = closed and not node.schema.get("patternProperties")
    bounded = "maxProperties" in node.schema and not (closed and max_count >= len(named))
    optional = [name for name in named if name not in required]
    num_missing = max(0, min_count - len(required))
    _check_counts(node, num_missing, len(optional), closed=closed)
    if bounded:
        node.out["maxProperties"] = min(max_count, _MAX_PROPERTIES)
    if optional and (bounded or num_missing > closed):
        num_sets = _num_sets(node)
        branches: list[dict[str, Any]] = []
        if num_missing and not closed:
            chosen = _sets(optional, num_missing - 1, max(1, num_sets // 4))
            branches += [
                {**_exactly(names, optional), "minProperties": min_count} for names in chosen
            ]
        max_chosen = max_count - len(required) if bounded else num_missing
        for size in range(num_missing, min(max_chosen, len(optional)) + 1):
            if len(branches) >= num_sets and size > num_missing:
                break
            chosen = _sets(optional, size, max(1, num_sets - len(branches)))
            branches += [
                _exactly(names, optional if bounded else optional[: optional.index(names[-1])])
                for names in chosen
            ]
        node.add_any_of_type("object", branches)
    elif min_count:
        node.out["minProperties"] = min_count


def _check_counts(node: SchemaNode, num_missing: int, num_optional: int, *, closed: bool) -> None:
    """Checks that properties can be as many as `minProperties` says, and as few as the maximum.

    Raises:
        SchemaError: At the keyword.
    """
    if closed and num_missing > max(1, num_optional):
        raise SchemaError(node.at("minProperties"), "there are not so many properties")
    if num_missing > num_optional + 1:
        raise SchemaError(
            node.at("minProperties"),
            "it must be at most 1 greater than the number of named properties, because a grammar "
            "cannot ensure that two other names differ",
        )
    num_required = len(set(node.schema.get("required", ()))) + num_missing
    if num_optional and node.count("maxProperties", num_required) < num_required:
        raise SchemaError(node.at("maxProperties"), "more properties are required")


def _num_sets(node: SchemaNode) -> int:
    """Returns how many sets of properties there may be: each copies the schemas of all."""
    named = node.schema["properties"]
    num_schemas = num_subschemas({"properties": named})
    return max(1, min(_MAX_SETS, _MAX_NAMES // len(named), _MAX_COPIES // num_schemas))


def _sets(names: list[str], size: int, max_sets: int) -> Iterator[tuple[str, ...]]:
    """Yields sets of this size of the first names, of as many names as the limit allows."""
    return combinations(names[: num_candidates(size, len(names), max_sets)], size)


def num_candidates(size: int, max_candidates: int, max_sets: int) -> int:
    """Returns how many candidates may be chosen from; at least the size of a set.

    Args:
        size: Number of candidates in a set.
        max_candidates: Number of all candidates.
        max_sets: Maximum number of sets.
    """
    numbers = range(size, max_candidates + 1)
    return max(takewhile(lambda number: comb(number, size) <= max_sets, numbers), default=size)


def _exactly(names: tuple[str, ...], optional: list[str]) -> dict[str, Any]:
    """Returns the schema of objects that have these of the optional properties, and no others."""
    present = set(names)
    excluded = [name for name in optional if name not in present]
    return {"required": list(names), "properties": dict.fromkeys(excluded, False)}

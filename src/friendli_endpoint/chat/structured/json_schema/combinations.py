"""Keywords that apply other schemas to the same value: `$ref`, `allOf`, `anyOf`, `oneOf`."""

from itertools import islice
from typing import Any

from friendli_endpoint.chat.structured.json_schema.keywords import types_of
from friendli_endpoint.chat.structured.json_schema.node import SchemaNode
from friendli_endpoint.chat.structured.json_schema.non_integers import non_integers
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError

__all__ = ["all_of", "any_of", "one_of", "reference"]

_MAX_OVERLAPPING_PAIRS = 30
_OVERLAP = (
    "a value might satisfy two of its branches; require a property with a different const in each "
    "branch, or use anyOf"
)


def reference(node: SchemaNode) -> None:
    """Rewrites `$ref` into a pointer."""
    if node.path in node.context.document.self_references:
        return
    node.out["$ref"] = node.context.reference_to(node.target_of(node.schema["$ref"]))


def all_of(node: SchemaNode) -> None:
    """Rewrites `allOf`."""
    branches = enumerate(node.schema["allOf"])
    node.add_all_of(*(node.rewrite(branch, "allOf", index) for index, branch in branches))


def any_of(node: SchemaNode) -> None:
    """Rewrites `anyOf`."""
    branches = enumerate(node.schema["anyOf"])
    node.add_any_of([node.rewrite(branch, "anyOf", index) for index, branch in branches])


def one_of(node: SchemaNode) -> None:
    """Rewrites `oneOf` into `anyOf`: each branch without the branches that overlap with it."""
    path = node.at("oneOf")
    branches = node.schema["oneOf"]
    pairs = node.context.comparison.overlapping_pairs(path, len(branches))
    found = list(islice(pairs, _MAX_OVERLAPPING_PAIRS + 1))
    if len(found) > _MAX_OVERLAPPING_PAIRS:
        raise SchemaError(path, _OVERLAP)
    overlaps: dict[int, list[int]] = {}
    for a, b in found:
        overlaps.setdefault(a, []).append(b)
        overlaps.setdefault(b, []).append(a)
    try:
        complements = {index: _branch_complement(node, index) for index in sorted(overlaps)}
    except SchemaError as error:
        raise SchemaError(path, _OVERLAP) from error
    alternatives = []
    for index, branch in enumerate(branches):
        rewritten = node.rewrite(branch, "oneOf", index)
        excluded = [
            _with_fractions(node, index, overlap, complements[overlap])
            for overlap in sorted(overlaps.get(index, ()))
        ]
        alternatives.append({"allOf": [rewritten, *excluded]} if excluded else rewritten)
    node.add_any_of(alternatives)


def _branch_complement(node: SchemaNode, index: int) -> Any:
    """Returns a complement of a branch; branches that overlap with it must satisfy it."""
    path = node.at("oneOf", index)
    target = node.context.document.follow_references(path)
    if target != path:
        return {"$ref": node.context.reference_to_complement(target, exact=False)}
    return node.context.complement(node.schema["oneOf"][index], path, exact=False)


def _with_fractions(node: SchemaNode, index: int, overlap: int, complement: Any) -> Any:
    """Returns a complement with the numbers that are not integers, where a branch needs them.

    Args:
        node: The schema with `oneOf`.
        index: The branch that must satisfy the complement.
        overlap: The branch that the complement is of.
        complement: The complement.
    """
    document = node.context.document
    path = document.follow_references(node.at("oneOf", index))
    other = document.at(document.follow_references(node.at("oneOf", overlap)))
    branch = document.at(path)
    if not (isinstance(branch, dict) and isinstance(other, dict)):
        return complement
    if "number" not in types_of(branch) or {"integer", "number"} & set(types_of(other)) != {
        "integer"
    }:
        return complement
    return {"anyOf": [complement, non_integers(document, path)]}

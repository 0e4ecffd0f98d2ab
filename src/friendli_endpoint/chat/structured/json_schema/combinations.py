"""Keywords that apply other schemas to the same value: `$ref`, `allOf`, `anyOf`, `oneOf`."""

from itertools import islice
from typing import Any

from friendli_endpoint.chat.structured.json_schema.keywords import types_of
from friendli_endpoint.chat.structured.json_schema.node import SchemaNode
from friendli_endpoint.chat.structured.json_schema.non_integers import non_integers
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError

__all__ = ["all_of", "any_of", "one_of", "reference"]

_MAX_OVERLAPPING_PAIRS = 300
_MAX_COMPLEMENTS = 2
"""Branches whose complements are combined; instead of more of them, conditions on names."""
_NUMBERS = frozenset({"integer", "number"})
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
    """Rewrites `oneOf` into `anyOf`: each branch without the branches that overlap with it.

    A branch is left out if a grammar cannot express what violates one that overlaps with it.
    """
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
    alternatives, failure = [], None
    for index, branch in enumerate(branches):
        try:
            excluded = _exclusions(node, index, sorted(overlaps.get(index, ())))
        except SchemaError as error:
            failure = error
            continue
        rewritten = node.rewrite(branch, "oneOf", index)
        alternatives.append({"allOf": [rewritten, *excluded]} if excluded else rewritten)
    if not alternatives:
        raise SchemaError(path, _OVERLAP) from failure
    node.add_any_of(alternatives)


def _exclusions(node: SchemaNode, index: int, overlaps: list[int]) -> list[Any]:
    """Returns schemas that a branch must satisfy so that it violates other branches.

    Raises:
        SchemaError: A grammar cannot express what violates one of them.
    """
    exclusions: list[Any] = []
    for overlap in overlaps:
        exclusion = _exclusion(node, index, overlap, is_only=len(overlaps) <= _MAX_COMPLEMENTS)
        if exclusion not in exclusions:
            exclusions.append(exclusion)
    return exclusions


def _exclusion(node: SchemaNode, index: int, overlap: int, *, is_only: bool) -> Any:
    """Returns a schema that a branch must satisfy so that it violates another one.

    Args:
        node: The schema with `oneOf`.
        index: The branch.
        overlap: The other branch.
        is_only: Whether it need not be combined with several others, so that alternatives do not
            multiply.
    """
    separation = node.context.comparison.separation
    paths = node.at("oneOf", index), node.at("oneOf", overlap)
    with_own = separate = None
    if node.types == ("object",) or any(map(separation.is_object, paths)):
        if absent := separation.without_name(*paths, may_be_described=False):
            return absent
        with_own = separation.with_own_name(*paths)
        separate = with_own or separation.without_name(*paths, may_be_described=True)
    if separate is not None and not is_only:
        return separate
    try:
        complement = _branch_complement(node, overlap)
    except SchemaError:
        if separate is None:
            raise
        return separate
    alternatives = [complement, with_own, _fractions(node, index, overlap)]
    alternatives = [schema for schema in alternatives if schema is not None]
    return {"anyOf": alternatives} if len(alternatives) > 1 else complement


def _fractions(node: SchemaNode, index: int, overlap: int) -> Any:
    """Returns the numbers that are not integers if a branch has them and another one not."""
    document = node.context.document
    path = document.follow_references(node.at("oneOf", index))
    schema = document.at(path)
    excluded = document.at(document.follow_references(node.at("oneOf", overlap)))
    if not (isinstance(schema, dict) and isinstance(excluded, dict)):
        return None
    if "number" not in types_of(schema) or _NUMBERS & {*types_of(excluded)} != {"integer"}:
        return None
    return non_integers(document, path)


def _branch_complement(node: SchemaNode, index: int) -> Any:
    """Returns a complement of a branch; branches that overlap with it must satisfy it."""
    path = node.at("oneOf", index)
    target = node.context.document.follow_references(path)
    if target != path:
        return {"$ref": node.context.reference_to_complement(target, exact=False)}
    return node.context.complement(node.schema["oneOf"][index], path, exact=False)

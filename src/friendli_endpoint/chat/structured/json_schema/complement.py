"""Complements of schemas: for `not`, `if`, and overlapping branches of `oneOf`.

A complement has an alternative for every way to violate the schema. A grammar cannot express some
of them: a string that does not match a pattern, an item that occurs twice. An exact complement is
rejected in that case. One that need not be exact omits the alternative; it still never holds for a
value that satisfies the schema.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from friendli_endpoint.chat.structured.json_schema.drafts import is_known
from friendli_endpoint.chat.structured.json_schema.keywords import (
    APPLIES_TO,
    ASSERTIONS,
    TYPES,
    types_of,
)
from friendli_endpoint.chat.structured.json_schema.node import SchemaNode
from friendli_endpoint.chat.structured.json_schema.non_integers import non_integers, path_around
from friendli_endpoint.chat.structured.json_schema.numbers import negated_bounds, whole_bounds
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError
from friendli_endpoint.chat.structured.json_schema.strings import excluded_patterns
from friendli_endpoint.chat.structured.json_schema.values import values_except

__all__ = ["complement_of"]

_MAX_PROPERTIES = 3
"""Properties that an inexact complement negates: alternatives multiply."""
_MAX_COUNT = 1_000
"""Values of `maxItems` and `maxLength` from which there is no complement."""
_INEXPRESSIBLE = "a grammar cannot express the values that do not satisfy it"


@dataclass(frozen=True, slots=True)
class _Negation:
    """A schema whose complement is built, and whether the complement must be exact."""

    node: SchemaNode
    exact: bool

    def complement(self, schema: Any, *keys: str | int) -> Any:
        return self.node.context.complement(schema, self.node.at(*keys), exact=self.exact)


def complement_of(node: SchemaNode, *, exact: bool) -> Any:
    """Builds the complement of a schema, for the compiler.

    Args:
        node: The schema.
        exact: Whether there must be an alternative for every way to violate the schema, rather
            than one for every type that it constrains.

    Raises:
        SchemaError: The complement does not exist.
    """
    negation = _Negation(node, exact)
    alternatives = _other_types(negation)
    errors: dict[str, SchemaError] = {}
    for keyword in node.schema:
        if keyword not in ASSERTIONS - {"type"} or not _is_evaluated(node, keyword):
            continue
        try:
            alternatives.extend(_NEGATIONS.get(keyword, _inexpressible)(negation, keyword))
        except SchemaError as error:
            if exact:
                raise
            errors.update(dict.fromkeys(APPLIES_TO.get(keyword, node.types), error))
    alternatives = [alternative for alternative in alternatives if alternative is not False]
    covered = set().union(*map(_types_in, alternatives))
    for kind in node.types:
        if kind in errors and kind not in covered:
            raise errors[kind]
    if len(alternatives) > 1:
        return {"anyOf": alternatives}
    return alternatives[0] if alternatives else False


def _types_in(alternative: Any) -> set[str]:
    """Returns the types that an alternative may hold for; references are not followed."""
    if not isinstance(alternative, dict):
        return set(TYPES) if alternative else set()
    types = set(types_of(alternative))
    for branch in alternative.get("allOf", ()):
        types &= _types_in(branch)
    if "anyOf" in alternative:
        types &= set().union(*map(_types_in, alternative["anyOf"]))
    return types | {"integer"} if "number" in types else types


def _is_evaluated(node: SchemaNode, keyword: str) -> bool:
    """Whether validators evaluate a keyword; a value cannot violate one that they ignore."""
    draft = node.context.document.draft
    hidden = "$ref" in node.schema and keyword != "$ref" and draft is not None and draft <= 7
    return is_known(keyword, draft) and not hidden


def _other_types(negation: _Negation) -> list[Any]:
    types = set(negation.node.types)
    if types == set(TYPES) or not _is_evaluated(negation.node, "type"):
        return []
    numbers = {"integer", "number"}
    others = [kind for kind in TYPES if kind not in types - numbers | {"integer"}]
    if types & numbers:
        others.remove("number")
    alternatives: list[Any] = [{"type": others}] if others else []
    if types & numbers == {"integer"} and negation.exact:
        around = path_around(negation.node.path)
        alternatives.append(non_integers(negation.node.context.document, around))
    return alternatives


def _inexpressible(negation: _Negation, keyword: str) -> list[Any]:
    value = negation.node.schema[keyword]
    if value == {} or value is (keyword != "uniqueItems"):
        return []
    raise SchemaError(negation.node.at(keyword), _INEXPRESSIBLE)


def _modifier(negation: _Negation, keyword: str) -> list[Any]:
    """Handles a keyword that only modifies another keyword, which covers both."""
    return []


def _bounds(negation: _Negation, keyword: str) -> list[Any]:
    if keyword.startswith("exclusive") and negation.node.context.document.draft == 4:
        return []
    kind = "number" if "number" in negation.node.types else "integer"
    bounds = negated_bounds(negation.node.schema, keyword, negation.node.at(keyword))
    if kind == "integer":
        bounds = whole_bounds(bounds)
    return [{"type": kind, **bounds}] if bounds else []


def _below_min(kind: str, max_keyword: str) -> Callable[[_Negation, str], list[Any]]:
    def negate(negation: _Negation, keyword: str) -> list[Any]:
        min_count = negation.node.count(keyword, 0)
        return [{"type": kind, max_keyword: min_count - 1}] if min_count else []

    return negate


def _above_max(kind: str, min_keyword: str) -> Callable[[_Negation, str], list[Any]]:
    def negate(negation: _Negation, keyword: str) -> list[Any]:
        max_count = negation.node.count(keyword, 0)
        if max_count >= _MAX_COUNT:
            raise SchemaError(negation.node.at(keyword), _INEXPRESSIBLE)
        return [{"type": kind, min_keyword: max_count + 1}]

    return negate


def _min_properties(negation: _Negation, keyword: str) -> list[Any]:
    min_count = negation.node.count(keyword, 0)
    if min_count > 1:
        raise SchemaError(negation.node.at(keyword), _INEXPRESSIBLE)
    return [{"type": "object", "additionalProperties": False}] * min_count


def _max_properties(negation: _Negation, keyword: str) -> list[Any]:
    if negation.node.count(keyword, 0) > 0:
        raise SchemaError(negation.node.at(keyword), _INEXPRESSIBLE)
    return [{"type": "object", "minProperties": 1}]


def _constants(negation: _Negation, keyword: str) -> list[Any]:
    value = negation.node.schema[keyword]
    listed = value if keyword == "enum" else [value]
    path, context = negation.node.at(keyword), negation.node.context
    return values_except(
        listed, negation.node.types, path, lambda size: context.count_excluded(size, path)
    )


def _required(negation: _Negation, keyword: str) -> list[Any]:
    names = dict.fromkeys(negation.node.schema[keyword])
    return [{"type": "object", "properties": {name: False}} for name in names]


def _properties(negation: _Negation, keyword: str) -> list[Any]:
    named = sorted(negation.node.schema[keyword].items(), key=_lacks_constant)
    max_properties = 1 if negation.node.schema.get("required") else _MAX_PROPERTIES
    complements: dict[str, Any] = {}
    failure: SchemaError | None = None
    for name, schema in named:
        if not negation.exact and len(complements) == max_properties:
            break
        try:
            complements[name] = negation.complement(schema, keyword, name)
        except SchemaError as error:
            if negation.exact:
                raise
            failure = error
    if failure is not None and not complements:
        raise failure
    return [
        {"type": "object", "required": [name], "properties": {name: complement}}
        for name, complement in complements.items()
        if complement is not False
    ]


def _lacks_constant(named: tuple[str, Any]) -> bool:
    """Whether a property has no constants, which usually discriminate between schemas."""
    return not (isinstance(named[1], dict) and named[1].keys() & {"const", "enum"})


def _pattern(negation: _Negation, keyword: str) -> list[Any]:
    node = negation.node
    excluded = excluded_patterns(node.schema[keyword], node.at(keyword))
    return [{"type": "string", "allOf": [{"pattern": pattern} for pattern in excluded]}]


def _contains(negation: _Negation, keyword: str) -> list[Any]:
    if {"minContains", "maxContains"} & negation.node.schema.keys():
        raise SchemaError(negation.node.at(keyword), _INEXPRESSIBLE)
    complement = negation.complement(negation.node.schema[keyword], keyword)
    return [{"type": "array", "items": complement}]


def _items(negation: _Negation, keyword: str) -> list[Any]:
    """Returns arrays whose first item violates the schema; the inexact case only."""
    schema = negation.node.schema[keyword]
    if schema in (True, {}):
        return []
    if negation.exact or isinstance(schema, list) or "prefixItems" in negation.node.schema:
        raise SchemaError(negation.node.at(keyword), _INEXPRESSIBLE)
    first = negation.complement(schema, keyword)
    return [{"type": "array", "minItems": 1, "prefixItems": [first]}]


def _all_of(negation: _Negation, keyword: str) -> list[Any]:
    branches = enumerate(negation.node.schema[keyword])
    return [negation.complement(branch, keyword, index) for index, branch in branches]


def _any_of(negation: _Negation, keyword: str) -> list[Any]:
    return [{"allOf": _all_of(negation, keyword)}]


def _one_of(negation: _Negation, keyword: str) -> list[Any]:
    node = negation.node
    path, num_branches = node.at(keyword), len(node.schema[keyword])
    if negation.exact and any(node.context.comparison.overlapping_pairs(path, num_branches)):
        raise SchemaError(path, _INEXPRESSIBLE)
    return _any_of(negation, keyword)


def _not(negation: _Negation, keyword: str) -> list[Any]:
    return [negation.node.rewrite(negation.node.schema[keyword], keyword)]


def _condition(negation: _Negation, keyword: str) -> list[Any]:
    node, condition = negation.node, negation.node.schema[keyword]
    out: list[Any] = []
    if "then" in node.schema:
        violated = negation.complement(node.schema["then"], "then")
        out.append({"allOf": [node.rewrite(condition, keyword), violated]})
    if "else" in node.schema:
        violated = negation.complement(node.schema["else"], "else")
        out.append({"allOf": [negation.complement(condition, keyword), violated]})
    return out


def _reference(negation: _Negation, keyword: str) -> list[Any]:
    if negation.node.path in negation.node.context.document.self_references:
        raise SchemaError(negation.node.at(keyword), _INEXPRESSIBLE)
    target = negation.node.target_of(negation.node.schema[keyword])
    reference = negation.node.context.reference_to_complement(target, exact=negation.exact)
    return [{"$ref": reference}]


_NEGATIONS: dict[str, Callable[[_Negation, str], list[Any]]] = {
    "$ref": _reference,
    "allOf": _all_of,
    "anyOf": _any_of,
    "const": _constants,
    "contains": _contains,
    "else": _modifier,
    "enum": _constants,
    "exclusiveMaximum": _bounds,
    "exclusiveMinimum": _bounds,
    "if": _condition,
    "items": _items,
    "maxContains": _modifier,
    "maxItems": _above_max("array", "minItems"),
    "maxLength": _above_max("string", "minLength"),
    "maxProperties": _max_properties,
    "maximum": _bounds,
    "minContains": _modifier,
    "minItems": _below_min("array", "maxItems"),
    "minLength": _below_min("string", "maxLength"),
    "minProperties": _min_properties,
    "minimum": _bounds,
    "not": _not,
    "oneOf": _one_of,
    "pattern": _pattern,
    "properties": _properties,
    "required": _required,
    "then": _modifier,
}
"""Builders of the alternatives that violate a keyword. Other keywords are inexpressible."""

"""What a schema does not allow, as a schema: for `not`, `if`, and branches of `oneOf` that overlap.

A complement has an alternative for every way to break the schema. Some have no words: a string that
does not match a pattern, an item that is there twice. An exact complement is refused there; one
that need not be exact goes without the alternative, and still never holds where the schema does.
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
from friendli_endpoint.chat.structured.json_schema.numbers import opposite_bounds
from friendli_endpoint.chat.structured.json_schema.part import Part
from friendli_endpoint.chat.structured.json_schema.place import SchemaFault
from friendli_endpoint.chat.structured.json_schema.values import other_values

__all__ = ["complement_of"]

_MOST_TELLING = 3
"""Properties that a complement looks at which need not be exact: alternatives multiply."""
_NO_WORDS = "a grammar has no words for what does not satisfy it"


@dataclass(frozen=True, slots=True)
class _Denied:
    """A schema whose complement is made, and how."""

    part: Part
    exact: bool

    def complement(self, schema: Any, *steps: str | int) -> Any:
        return self.part.whole.complement(schema, self.part.at(*steps), exact=self.exact)


def complement_of(part: Part, *, exact: bool) -> Any:
    """The complement of a schema, for the compiler.

    Args:
        part: The schema.
        exact: Whether there must be an alternative for every way to break it, rather than one for
            every type that it says something about.

    Raises:
        SchemaFault: There is no such complement.
    """
    denied = _Denied(part, exact)
    found = _other_types(denied)
    faults: dict[str, SchemaFault] = {}
    for keyword in part.schema:
        if keyword not in ASSERTIONS - {"type"} or not _is_read(part, keyword):
            continue
        try:
            found.extend(_DENIALS.get(keyword, _without_words)(denied, keyword))
        except SchemaFault as fault:
            if exact:
                raise
            faults.update(dict.fromkeys(APPLIES_TO.get(keyword, part.types), fault))
    found = [each for each in found if each is not False]
    broken = set().union(*map(_types_in, found))
    for kind in part.types:
        if kind in faults and kind not in broken:
            raise faults[kind]
    return {"anyOf": found} if len(found) > 1 else found[0] if found else False


def _types_in(alternative: Any) -> set[str]:
    """The types that an alternative may hold for; those of a reference are not looked for."""
    if not isinstance(alternative, dict):
        return set(TYPES) if alternative else set()
    types = set(types_of(alternative))
    for each in alternative.get("allOf", ()):
        types &= _types_in(each)
    if "anyOf" in alternative:
        types &= set().union(*map(_types_in, alternative["anyOf"]))
    return types | {"integer"} if "number" in types else types


def _is_read(part: Part, keyword: str) -> bool:
    """Whether validators look at a keyword; where they do not, nothing breaks it."""
    draft = part.whole.document.draft
    hidden = "$ref" in part.schema and keyword != "$ref" and draft is not None and draft <= 7
    return is_known(keyword, draft) and not hidden


def _other_types(denied: _Denied) -> list[Any]:
    types = set(denied.part.types)
    if types == set(TYPES) or not _is_read(denied.part, "type"):
        return []
    if "integer" in types and "number" not in types and denied.exact:
        raise SchemaFault(denied.part.at("type"), "a grammar has no numbers without the integers")
    numbers = {"integer", "number"}
    others = [each for each in TYPES if each not in types - numbers | {"integer"}]
    if types & numbers:
        others.remove("number")
    return [{"type": others}] if others else []


def _without_words(denied: _Denied, keyword: str) -> list[Any]:
    value = denied.part.schema[keyword]
    if value == {} or value is (keyword != "uniqueItems"):
        return []
    raise SchemaFault(denied.part.at(keyword), _NO_WORDS)


def _with_another(denied: _Denied, keyword: str) -> list[Any]:
    """Of a keyword that says something only beside another one, which is looked at by itself."""
    return []


def _bounds(denied: _Denied, keyword: str) -> list[Any]:
    if keyword.startswith("exclusive") and denied.part.whole.document.draft == 4:
        return []
    kind = "number" if "number" in denied.part.types else "integer"
    opposite = opposite_bounds(denied.part.schema, keyword, denied.part.at(keyword))
    return [{"type": kind, **opposite}] if opposite else []


def _fewer(keyword: str, kind: str, opposite: str) -> Callable[[_Denied, str], list[Any]]:
    def fewer(denied: _Denied, _: str) -> list[Any]:
        least = denied.part.count(keyword, 0)
        return [{"type": kind, opposite: least - 1}] if least else []

    return fewer


def _more(keyword: str, kind: str, opposite: str) -> Callable[[_Denied, str], list[Any]]:
    def more(denied: _Denied, _: str) -> list[Any]:
        most = denied.part.count(keyword, 0)
        if most >= 1_000:
            raise SchemaFault(denied.part.at(keyword), _NO_WORDS)
        return [{"type": kind, opposite: most + 1}]

    return more


def _no_property(denied: _Denied, keyword: str) -> list[Any]:
    least = denied.part.count(keyword, 0)
    if least > 1:
        raise SchemaFault(denied.part.at(keyword), _NO_WORDS)
    return [{"type": "object", "additionalProperties": False}] * least


def _some_property(denied: _Denied, keyword: str) -> list[Any]:
    if denied.part.count(keyword, 0) > 0:
        raise SchemaFault(denied.part.at(keyword), _NO_WORDS)
    return [{"type": "object", "minProperties": 1}]


def _constants(denied: _Denied, keyword: str) -> list[Any]:
    value = denied.part.schema[keyword]
    listed = value if keyword == "enum" else [value]
    return other_values(listed, denied.part.types, denied.part.at(keyword))


def _required(denied: _Denied, keyword: str) -> list[Any]:
    names = dict.fromkeys(denied.part.schema[keyword])
    return [{"type": "object", "properties": {name: False}} for name in names]


def _properties(denied: _Denied, keyword: str) -> list[Any]:
    named = denied.part.schema[keyword]
    if not denied.exact:
        most = 1 if denied.part.schema.get("required") else _MOST_TELLING
        named = dict(sorted(named.items(), key=_is_free)[:most])
    complements = {name: denied.complement(each, keyword, name) for name, each in named.items()}
    return [
        {"type": "object", "required": [name], "properties": {name: each}}
        for name, each in complements.items()
        if each is not False
    ]


def _is_free(named: tuple[str, Any]) -> bool:
    """Whether a property does not tell by a constant which of several schemas is meant."""
    return not (isinstance(named[1], dict) and named[1].keys() & {"const", "enum"})


def _contains(denied: _Denied, keyword: str) -> list[Any]:
    if {"minContains", "maxContains"} & denied.part.schema.keys():
        raise SchemaFault(denied.part.at(keyword), _NO_WORDS)
    return [{"type": "array", "items": denied.complement(denied.part.schema[keyword], keyword)}]


def _items(denied: _Denied, keyword: str) -> list[Any]:
    """Arrays with an item that does not satisfy a schema, of which the first is such an item."""
    asked = denied.part.schema[keyword]
    if asked in (True, {}):
        return []
    if denied.exact or isinstance(asked, list) or "prefixItems" in denied.part.schema:
        raise SchemaFault(denied.part.at(keyword), _NO_WORDS)
    first = denied.complement(asked, keyword)
    return [{"type": "array", "minItems": 1, "prefixItems": [first]}]


def _any(denied: _Denied, keyword: str) -> list[Any]:
    branches = enumerate(denied.part.schema[keyword])
    return [denied.complement(each, keyword, index) for index, each in branches]


def _all(denied: _Denied, keyword: str) -> list[Any]:
    return [{"allOf": _any(denied, keyword)}]


def _none(denied: _Denied, keyword: str) -> list[Any]:
    part = denied.part
    branches = part.at(keyword), len(part.schema[keyword])
    if denied.exact and any(part.whole.comparison.overlapping_pairs(*branches)):
        raise SchemaFault(part.at(keyword), _NO_WORDS)
    return _all(denied, keyword)


def _not(denied: _Denied, keyword: str) -> list[Any]:
    return [denied.part.rewritten(denied.part.schema[keyword], keyword)]


def _condition(denied: _Denied, keyword: str) -> list[Any]:
    part, condition = denied.part, denied.part.schema[keyword]
    out: list[Any] = []
    if "then" in part.schema:
        broken = denied.complement(part.schema["then"], "then")
        out.append({"allOf": [part.rewritten(condition, keyword), broken]})
    if "else" in part.schema:
        broken = denied.complement(part.schema["else"], "else")
        out.append({"allOf": [denied.complement(condition, keyword), broken]})
    return out


def _reference(denied: _Denied, keyword: str) -> list[Any]:
    target = denied.part.target_of(denied.part.schema[keyword])
    return [{"$ref": denied.part.whole.reference_to_complement(target, exact=denied.exact)}]


_DENIALS: dict[str, Callable[[_Denied, str], list[Any]]] = {
    "$ref": _reference,
    "allOf": _any,
    "anyOf": _all,
    "const": _constants,
    "contains": _contains,
    "else": _with_another,
    "enum": _constants,
    "exclusiveMaximum": _bounds,
    "exclusiveMinimum": _bounds,
    "if": _condition,
    "items": _items,
    "maxContains": _with_another,
    "maxItems": _more("maxItems", "array", "minItems"),
    "maxLength": _more("maxLength", "string", "minLength"),
    "maxProperties": _some_property,
    "maximum": _bounds,
    "minContains": _with_another,
    "minItems": _fewer("minItems", "array", "maxItems"),
    "minLength": _fewer("minLength", "string", "maxLength"),
    "minProperties": _no_property,
    "minimum": _bounds,
    "not": _not,
    "oneOf": _none,
    "properties": _properties,
    "required": _required,
    "then": _with_another,
}
"""Keyword to the ways to break it. One that is not here has none in words."""

"""JSON schemas of `response_format` and of tools, rewritten into what the compiler gets right.

The compiler (llguidance) takes more than it enforces, and some of what it takes would crash it. A
schema of any draft is therefore rewritten: into keywords of draft 2020-12 that are known to be
enforced, with values in the ranges where they are, references by pointer alone. Where a rewriting
cannot mean the same it means less, never more: whatever is generated satisfies the schema as it was
sent. What has no such rewriting is refused with the keyword and its place.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from friendli_endpoint.chat.formats import ANNOTATIONS, NUMBERS, STRINGS
from friendli_endpoint.chat.keywords import (
    APPLICATORS,
    APPLIES_TO,
    TYPES,
    UNSUPPORTED,
    VALUES,
)
from friendli_endpoint.chat.numbers import Multiples, numeric_bounds
from friendli_endpoint.chat.one_of import disjoint
from friendli_endpoint.chat.pattern import PatternError, search_pattern
from friendli_endpoint.chat.places import SchemaFault
from friendli_endpoint.chat.recursion import check_circles, check_depth, without_endless
from friendli_endpoint.chat.references import Document, Place

__all__ = ["OPTIONS", "FitSchema", "fit_schema", "prepared", "schema_text"]

MOST_CHARACTERS = 512 * 1024
MOST_NESTING = 100
_MOST_SCHEMAS = 20_000
_MOST_PROPERTIES = 2_000
_MOST_PATTERNS = 100
_MOST_LITERALS = 10_000
_MOST_ITEMS = 10_000
_MOST_REQUIRED_ITEMS = 1_000
_MOST_LENGTH = 100_000
_MOST_REQUIRED_LENGTH = 10_000
_EXACT = 2**53

_LATER_DRAFTS = ("-06", "-07", "/2019-09", "/2020-12")
_NAMES = frozenset({"$anchor", "$defs", "$id", "$schema", "definitions"})
OPTIONS = {
    "whitespace_flexible": True,
    "whitespace_pattern": r"( |\n {0,16})?",
    "json_allowed_escapes": 'nrbtf\\"',
}
"""How JSON is written. Between two tokens there is nothing, a space, or a new line and its
indentation: unbounded white space is a trap that small models do not leave. Escapes are those of
one letter: were `\\u0061` allowed, a name would have two spellings, and a property could be there
twice."""

_OBJECT_KEYWORDS = frozenset({"properties", "patternProperties", "required"})
_UNWRITABLE = frozenset(map(chr, range(32))) - set("\b\t\n\f\r") | {"\x7f"}
"""Characters that only an escape of four digits can write in a JSON string; it is switched off, so
that a name of a property has a single spelling."""


@dataclass(frozen=True, slots=True)
class FitSchema:
    """A schema as the compiler takes it.

    Attributes:
        root: It, with what its references lead to and the compiler's options.
        definitions: What its references lead to.
        parts: The places in the user's schema of the schemas it is made of, and what became of
            each; outer ones first.
    """

    root: dict[str, Any]
    definitions: dict[str, Any]
    parts: list[tuple[Place, dict[str, Any]]]


def fit_schema(schema: object, param: str) -> FitSchema:
    """The schema as the compiler takes it.

    Args:
        schema: What the request holds.
        param: Where it is in the request.

    Raises:
        Refusal: It is no valid schema, too large, or has a keyword that cannot be enforced.
    """
    schema_text(schema, param)
    if isinstance(schema, dict) and schema.get("x-guidance") is OPTIONS:
        return FitSchema(schema, schema.get("$defs", {}), [])
    if isinstance(schema, bool):
        schema = {} if schema else {"allOf": [False]}
    try:
        if not isinstance(schema, dict):
            raise SchemaFault((), "it must be a JSON object", invalid=True)
        return _Fitting(schema).result()
    except SchemaFault as fault:
        raise fault.refusal(param) from fault


def schema_text(schema: object, param: str) -> str:
    """A schema as JSON.

    Raises:
        Refusal: It is too long or too deep.
    """
    too_deep = _nesting(schema) > MOST_NESTING
    text = "" if too_deep else json.dumps(schema)
    if too_deep or len(text) > MOST_CHARACTERS:
        limit = (
            f"it is nested deeper than {MOST_NESTING} levels"
            if too_deep
            else f"it has more than {MOST_CHARACTERS:,} characters"
        )
        raise SchemaFault((), limit, invalid=True).refusal(param)
    return text


def prepared(schema: object, param: str) -> dict[str, Any]:
    """The same as `fit_schema`, as the schema alone; `fit_schema` gives it back unchanged."""
    return fit_schema(schema, param).root


class _Fitting:
    """One rewriting: the document, what was made of its parts, and those still to be made."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._document = Document(root)
        self._parts: list[tuple[Place, dict[str, Any]]] = []
        self._names: dict[Place, str] = {}
        self._pending: list[Place] = []
        self._multiples = Multiples()
        self._literals = 0
        self._may_be_draft_4 = not any(f"/draft{n}" in self._document.draft for n in _LATER_DRAFTS)

    def result(self) -> FitSchema:
        root = self._schema(self._document.at(()), ())
        definitions: dict[str, Any] = {}
        while self._pending:
            place = self._pending.pop()
            definitions[self._names[place]] = self._schema(self._document.at(place), place)
        check_circles(self._document, (place for place, _ in self._parts))
        if not isinstance(root, dict):
            root = {"allOf": [root]}
        if definitions:
            root = {**root, "$defs": definitions}
        without_endless(root)
        check_depth(root)
        root = {**root, "x-guidance": OPTIONS}
        return FitSchema(root, definitions, self._parts)

    def _schema(self, schema: Any, place: Place) -> Any:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise SchemaFault(place, "it must be an object, true or false", invalid=True)
        self._check(schema, place)
        out: dict[str, Any] = {}
        self._parts.append((place, out))
        if len(self._parts) > _MOST_SCHEMAS:
            raise SchemaFault((), f"it has more than {_MOST_SCHEMAS:,} schemas in it")
        types = _types(schema)
        if "type" in schema:
            out["type"] = list(types) if isinstance(schema["type"], list) else types[0]
        schema = {
            keyword: value
            for keyword, value in schema.items()
            if any(each in types for each in APPLIES_TO.get(keyword, types))
        }
        extra = [
            *self._numbers(schema, types, place, out),
            *self._strings(schema, types, place, out),
        ]
        self._arrays(schema, place, out)
        for keyword, value in schema.items():
            step: Callable[..., None] | None = _STEPS.get(keyword)
            if step is not None:
                step(self, schema, value, (*place, keyword), out)
        self._closed(schema, place, out)
        if extra:
            out["allOf"] = [*out.get("allOf", []), *extra]
        return out

    def _check(self, schema: dict[str, Any], place: Place) -> None:
        """Refuses keywords with values that they cannot have, and those that are not enforced."""
        for keyword, value in schema.items():
            if keyword in VALUES:
                valid, words = VALUES[keyword]
                if not valid(value):
                    raise SchemaFault((*place, keyword), f"it must be {words}", invalid=True)
        for keyword in ("exclusiveMaximum", "exclusiveMinimum"):
            if isinstance(schema.get(keyword), bool) and not self._may_be_draft_4:
                raise SchemaFault((*place, keyword), "it must be a number", invalid=True)
        types = _types(schema)
        for keyword, value in schema.items():
            neutral, reason = UNSUPPORTED.get(keyword, (None, ""))
            if neutral is None or neutral(value):
                continue
            if not any(each in types for each in APPLIES_TO.get(keyword, types)):
                continue
            if keyword == "if" and not ({"then", "else"} & schema.keys()):
                continue
            if keyword == "uniqueItems" and schema.get("maxItems", 2) <= 1:
                continue
            raise SchemaFault((*place, keyword), reason)

    def _numbers(
        self, schema: dict[str, Any], types: tuple[str, ...], place: Place, out: dict[str, Any]
    ) -> list[dict[str, Any]]:
        out.update(numeric_bounds(schema, place))
        if "multipleOf" in schema:
            out["multipleOf"] = self._multiples.taken(schema["multipleOf"], (*place, "multipleOf"))
        if "string" not in types and {"number", "integer"} & set(types):
            bounds = NUMBERS.get(schema.get("format", ""), {})
            return [numeric_bounds(bounds, place)] if bounds else []
        return []

    def _strings(
        self, schema: dict[str, Any], types: tuple[str, ...], place: Place, out: dict[str, Any]
    ) -> list[dict[str, Any]]:
        patterns = []
        least, most = _count(schema, "minLength", 0), _count(schema, "maxLength", None)
        if least is not None and least > _MOST_REQUIRED_LENGTH:
            raise SchemaFault(
                (*place, "minLength"), f"it must be at most {_MOST_REQUIRED_LENGTH:,}"
            )
        if least:
            out["minLength"] = least
        if most is not None:
            out["maxLength"] = min(most, _MOST_LENGTH)
        if "pattern" in schema:
            patterns.append(_pattern(schema["pattern"], (*place, "pattern")))
        name = schema.get("format")
        if name is not None and "string" in types and name not in ANNOTATIONS:
            if name not in STRINGS:
                raise SchemaFault((*place, "format"), f"there is no rule for format {name!r}")
            patterns.append(f"^(?:{STRINGS[name]})$")
        if patterns:
            out["pattern"] = patterns[0]
        kind = {"type": "string"} if types == ("string",) else {}
        return [{**kind, "pattern": each} for each in patterns[1:]]

    def _arrays(self, schema: dict[str, Any], place: Place, out: dict[str, Any]) -> None:
        least, most = _count(schema, "minItems", 0), _count(schema, "maxItems", None)
        if least is not None and least > _MOST_REQUIRED_ITEMS:
            raise SchemaFault((*place, "minItems"), f"it must be at most {_MOST_REQUIRED_ITEMS:,}")
        if least:
            out["minItems"] = least
        if most is not None:
            out["maxItems"] = min(most, _MOST_ITEMS)
        prefix, rest = schema.get("prefixItems"), schema.get("items")
        first, others = "prefixItems", "items"
        if isinstance(rest, list):
            if prefix is not None:
                raise SchemaFault(
                    (*place, "items"), "it must be a schema beside prefixItems", invalid=True
                )
            prefix, rest = rest, schema.get("additionalItems")
            first, others = "items", "additionalItems"
        elif prefix is not None and any(f"draft-0{n}" in self._document.draft for n in (4, 6, 7)):
            raise SchemaFault(
                (*place, "prefixItems"), f"{self._document.draft} has no such keyword"
            )
        if rest is None and not APPLICATORS & schema.keys():
            rest, others = schema.get("unevaluatedItems"), "unevaluatedItems"
        elif schema.get("unevaluatedItems", True) not in (True, {}) and rest is None:
            raise SchemaFault((*place, "unevaluatedItems"), _UNEVALUATED)
        if prefix:
            out["prefixItems"] = [
                self._schema(each, (*place, first, index)) for index, each in enumerate(prefix)
            ]
        if rest is not None:
            out["items"] = self._schema(rest, (*place, others))

    def _closed(self, schema: dict[str, Any], place: Place, out: dict[str, Any]) -> None:
        """`unevaluatedProperties` where nothing else is in the same place, and counts of names."""
        rest = schema.get("unevaluatedProperties", True)
        if rest not in (True, {}) and "additionalProperties" not in schema:
            if APPLICATORS & schema.keys():
                raise SchemaFault((*place, "unevaluatedProperties"), _UNEVALUATED)
            out["additionalProperties"] = self._schema(rest, (*place, "unevaluatedProperties"))
        least, most = _count(schema, "minProperties", 0), _count(schema, "maxProperties", None)
        if most is not None:
            out["maxProperties"] = min(most, _MOST_ITEMS)
        if not least:
            return
        if least - len(set(schema.get("required", ()))) > 1:
            raise SchemaFault(
                (*place, "minProperties"),
                "a grammar cannot tell that two names differ; it may ask for at most one property "
                "that is not required",
            )
        out["minProperties"] = least

    def _reference(
        self, schema: dict[str, Any], value: str, place: Place, out: dict[str, Any]
    ) -> None:
        target = self._document.resolve(value, place[:-1])
        if target is None:
            raise SchemaFault(
                place, f"there is nothing by the name {value!r} in the schema; no other is fetched"
            )
        if target == ():
            out["$ref"] = "#"
            return
        if target not in self._names:
            self._names[target] = f"d{len(self._names)}"
            self._pending.append(target)
        out["$ref"] = f"#/$defs/{self._names[target]}"

    def _list(self, schema: dict[str, Any], value: list[Any], place: Place, out: Any) -> None:
        out[place[-1]] = [self._schema(each, (*place, index)) for index, each in enumerate(value)]

    def _one_of(self, schema: dict[str, Any], value: list[Any], place: Place, out: Any) -> None:
        if not disjoint(self._document, place, len(value)):
            raise SchemaFault(
                place,
                "it is not plain that no value satisfies two of its branches; give them a property "
                "with a different const each, or use anyOf",
            )
        branches = [self._schema(each, (*place, index)) for index, each in enumerate(value)]
        if "anyOf" in schema:
            out["allOf"] = [*out.get("allOf", []), {"anyOf": branches}]
        else:
            out["anyOf"] = branches

    def _all_of(self, schema: dict[str, Any], value: list[Any], place: Place, out: Any) -> None:
        fitted = [self._schema(each, (*place, index)) for index, each in enumerate(value)]
        out["allOf"] = [*out.get("allOf", []), *fitted]

    def _map(self, schema: dict[str, Any], value: dict[str, Any], place: Place, out: Any) -> None:
        if len(value) > _MOST_PROPERTIES:
            raise SchemaFault(place, f"it has more than {_MOST_PROPERTIES:,} properties")
        for name in value:
            _check_text(name, (*place, name))
        out["properties"] = {
            name: self._schema(each, (*place, name)) for name, each in value.items()
        }

    def _patterns(
        self, schema: dict[str, Any], value: dict[str, Any], place: Place, out: Any
    ) -> None:
        if len(value) > _MOST_PATTERNS:
            raise SchemaFault(place, f"it has more than {_MOST_PATTERNS} patterns")
        fitted: dict[str, Any] = {}
        for name, each in value.items():
            written = _pattern(name, (*place, name))
            if written in fitted:
                raise SchemaFault((*place, name), "another pattern means the same")
            fitted[written] = self._schema(each, (*place, name))
        out["patternProperties"] = fitted

    def _rest(self, schema: dict[str, Any], value: Any, place: Place, out: Any) -> None:
        if "propertyNames" not in schema:
            out["additionalProperties"] = self._schema(value, place)

    def _names_of(self, schema: dict[str, Any], value: Any, place: Place, out: Any) -> None:
        """`propertyNames`, where it can be said with patterns or by naming the properties."""
        names = dict(value) if isinstance(value, dict) else {}
        self._check(names, place)
        rest_place = (*place[:-1], "additionalProperties")
        rest = self._schema(schema.get("additionalProperties", True), rest_place)
        asked = names.keys() & (VALUES.keys() | {"const"}) - _NAMES
        if asked == {"type"} and "string" in _types(names):
            asked = set()
        if value is not False and not asked:
            out["additionalProperties"] = rest
            return
        if _OBJECT_KEYWORDS & schema.keys() or "string" not in _types(names):
            raise SchemaFault(place, "it is enforced only for strings, without named properties")
        out["additionalProperties"] = False
        asked -= {"type"}
        if asked == {"enum"} or asked == {"const"}:
            allowed = names["enum"] if "enum" in names else [names["const"]]
            for name in allowed:
                _check_text(name, place)
            out["properties"] = {name: rest for name in allowed if isinstance(name, str)}
        elif asked == {"pattern"}:
            out["patternProperties"] = {_pattern(names["pattern"], (*place, "pattern")): rest}
        elif asked and asked <= {"minLength", "maxLength"}:
            least, most = _count(names, "minLength", 0), _count(names, "maxLength", "")
            out["patternProperties"] = {f"^(?s:.{{{least},{most}}})$": rest}
        elif asked == {"format"} and names["format"] in STRINGS:
            out["patternProperties"] = {f"^(?:{STRINGS[names['format']]})$": rest}
        elif asked:
            raise SchemaFault(place, "it is enforced for a single keyword, not for these together")

    def _literal(self, schema: dict[str, Any], value: Any, place: Place, out: Any) -> None:
        for index, each in enumerate(value if place[-1] == "enum" else [value]):
            self._literals += _check_literal(
                each, (*place, index) if place[-1] == "enum" else place
            )
        if self._literals > _MOST_LITERALS:
            raise SchemaFault(
                (), f"its constants hold more than {_MOST_LITERALS:,} lists and objects"
            )
        out[place[-1]] = value

    def _copied(self, schema: dict[str, Any], value: Any, place: Place, out: Any) -> None:
        for each in value:
            _check_text(each, place)
        out[place[-1]] = list(dict.fromkeys(value))


_UNEVALUATED = "beside $ref, allOf, anyOf and oneOf it depends on which of them hold"

_STEPS: dict[str, Callable[..., None]] = {
    "$ref": _Fitting._reference,
    "additionalProperties": _Fitting._rest,
    "allOf": _Fitting._all_of,
    "anyOf": _Fitting._list,
    "const": _Fitting._literal,
    "enum": _Fitting._literal,
    "oneOf": _Fitting._one_of,
    "patternProperties": _Fitting._patterns,
    "properties": _Fitting._map,
    "propertyNames": _Fitting._names_of,
    "required": _Fitting._copied,
}
"""Keyword to how it is rewritten, in the order in which the user has them: properties come out in
that order. What is in no table is an annotation, and is left out."""


def _types(schema: dict[str, Any]) -> tuple[str, ...]:
    named = schema.get("type", TYPES)
    return (named,) if isinstance(named, str) else tuple(dict.fromkeys(named))


def _count(schema: dict[str, Any], keyword: str, default: Any) -> Any:
    return int(schema[keyword]) if keyword in schema else default


def _pattern(pattern: str, place: Place) -> str:
    try:
        return f"^{search_pattern(pattern)}$"
    except PatternError as error:
        raise SchemaFault(place, str(error)) from error


def _check_text(text: object, place: Place) -> None:
    if isinstance(text, str) and any(
        each in _UNWRITABLE or "\ud800" <= each <= "\udfff" for each in text
    ):
        raise SchemaFault(place, "it holds a control character, or half of a surrogate pair")


def _check_literal(value: object, place: Place) -> int:
    """Refuses a constant that cannot be written; answers how many lists and objects it is of."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        for name in value if isinstance(value, dict) else ():
            _check_text(name, place)
        return 1 + sum(_check_literal(each, place) for each in inner)
    if isinstance(value, int | float) and not abs(value) <= _EXACT:
        raise SchemaFault(place, "it holds a number beyond 2^53, where numbers are not exact")
    _check_text(value, place)
    return 0


def _nesting(value: object) -> int:
    """How deep lists and objects are nested, found without recursion."""
    deepest, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        deepest += 1
        level = [
            child for each in level for child in (each.values() if isinstance(each, dict) else each)
        ]
    return deepest

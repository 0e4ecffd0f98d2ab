"""Tables of the keywords of JSON Schema: valid values, types, and unsupported keywords."""

import math
from collections.abc import Callable
from typing import Any

__all__ = [
    "ALL_TYPES",
    "APPLICATORS",
    "APPLIES_TO",
    "ASSERTIONS",
    "MAX_COUNTS",
    "TYPES",
    "UNEVALUATED",
    "UNSUPPORTED",
    "VALUES",
    "types_of",
]

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")

ALL_TYPES = frozenset(TYPES)

APPLICATORS = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
"""Keywords that apply other schemas to the same value."""

UNEVALUATED = "it must not be combined with $ref, allOf, anyOf or oneOf"
"""The effect of `unevaluatedItems` and `unevaluatedProperties` then depends on which hold."""


def types_of(schema: dict[str, Any]) -> tuple[str, ...]:
    """Returns the types that a schema names; all types if it names none."""
    named = schema.get("type", TYPES)
    return (named,) if isinstance(named, str) else tuple(dict.fromkeys(named))


def _is_number(value: object) -> bool:
    """Whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def _is_count(value: object) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)  # type: ignore[operator,call-overload]


def _is_schema(value: object) -> bool:
    return isinstance(value, dict | bool)


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _are_types(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(name, str) and name in TYPES for name in value)
    return isinstance(value, str) and value in TYPES


def _are_schemas(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_schema(schema) for schema in value)


def _is_map(value: object) -> bool:
    return isinstance(value, dict) and all(_is_schema(schema) for schema in value.values())


_COUNT = (_is_count, "a whole number, at least 0")
_SCHEMA = (_is_schema, "a schema: an object, true or false")
_SCHEMAS = (_are_schemas, "a list of one or more schemas")
_MAP = (_is_map, "an object whose values are schemas")
_TEXT = (lambda value: isinstance(value, str), "a string")
_NUMBER = (_is_number, "a number")
_LIMIT = (lambda value: _is_number(value) or isinstance(value, bool), "a number, or true or false")

VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "$anchor": _TEXT,
    "$defs": (lambda value: isinstance(value, dict), "an object"),
    "$id": _TEXT,
    "$ref": _TEXT,
    "$schema": _TEXT,
    "additionalItems": _SCHEMA,
    "additionalProperties": _SCHEMA,
    "allOf": _SCHEMAS,
    "anyOf": _SCHEMAS,
    "contains": _SCHEMA,
    "definitions": (lambda value: isinstance(value, dict), "an object"),
    "dependencies": (lambda value: isinstance(value, dict), "an object"),
    "dependentRequired": (lambda value: isinstance(value, dict), "an object"),
    "dependentSchemas": _MAP,
    "else": _SCHEMA,
    "enum": (lambda value: isinstance(value, list) and bool(value), "a list of one or more values"),
    "exclusiveMaximum": _LIMIT,
    "exclusiveMinimum": _LIMIT,
    "format": _TEXT,
    "if": _SCHEMA,
    "items": (
        lambda value: _is_schema(value) or value == [] or _are_schemas(value),
        "a schema or a list of schemas",
    ),
    "maxContains": _COUNT,
    "maxItems": _COUNT,
    "maxLength": _COUNT,
    "maxProperties": _COUNT,
    "maximum": _NUMBER,
    "minContains": _COUNT,
    "minItems": _COUNT,
    "minLength": _COUNT,
    "minProperties": _COUNT,
    "minimum": _NUMBER,
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number greater than 0"),
    "not": _SCHEMA,
    "oneOf": _SCHEMAS,
    "pattern": _TEXT,
    "patternProperties": _MAP,
    "prefixItems": _SCHEMAS,
    "properties": _MAP,
    "propertyNames": _SCHEMA,
    "required": (_are_names, "a list of strings"),
    "then": _SCHEMA,
    "type": (_are_types, f"one of {', '.join(TYPES)}, or a list of them"),
    "unevaluatedItems": _SCHEMA,
    "unevaluatedProperties": _SCHEMA,
    "uniqueItems": (lambda value: isinstance(value, bool), "true or false"),
}
"""For each keyword, a predicate of its valid values, and their description."""

_MAX_BRANCHES = 2_000
_MAX_DEFINITIONS = 10_000

MAX_COUNTS = {
    "$defs": _MAX_DEFINITIONS,
    "allOf": _MAX_BRANCHES,
    "anyOf": _MAX_BRANCHES,
    "definitions": _MAX_DEFINITIONS,
    "dependencies": _MAX_BRANCHES,
    "dependentRequired": _MAX_BRANCHES,
    "dependentSchemas": _MAX_BRANCHES,
    "enum": 10_000,
    "items": _MAX_BRANCHES,
    "oneOf": _MAX_BRANCHES,
    "prefixItems": _MAX_BRANCHES,
}
"""Maximum number of entries of the keywords whose values are lists, or objects with any names.
`properties`, `patternProperties` and `required` have limits in `objects.py` and `names.py`. Of
5,169 published schemas, the largest have 80 branches, 865 constants and 493 definitions."""

ASSERTIONS = frozenset(VALUES) - {"$anchor", "$defs", "$id", "$schema", "definitions"} | {"const"}
"""Keywords that constrain a value."""

APPLIES_TO: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        (
            "additionalItems",
            "contains",
            "items",
            "maxContains",
            "maxItems",
            "minContains",
            "minItems",
            "prefixItems",
            "unevaluatedItems",
            "uniqueItems",
        ),
        frozenset({"array"}),
    ),
    **dict.fromkeys(
        (
            "additionalProperties",
            "dependencies",
            "dependentRequired",
            "dependentSchemas",
            "maxProperties",
            "minProperties",
            "patternProperties",
            "properties",
            "propertyNames",
            "required",
            "unevaluatedProperties",
        ),
        frozenset({"object"}),
    ),
    **dict.fromkeys(("maxLength", "minLength", "pattern"), frozenset({"string"})),
    **dict.fromkeys(
        ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"),
        frozenset({"number", "integer"}),
    ),
}
"""For each keyword, the types it constrains; it does not affect values of other types."""

_NEVER: Callable[[Any], bool] = lambda value: False  # noqa: E731

UNSUPPORTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "$dynamicRef": (_NEVER, "a reference must have a fixed target; use $ref"),
    "$recursiveRef": (_NEVER, "a reference must have a fixed target; use $ref"),
    "disallow": (_NEVER, "it is a keyword of draft 3; use not, or list the allowed types"),
    "divisibleBy": (_NEVER, "it is a keyword of draft 3; use multipleOf"),
    "extends": (_NEVER, "it is a keyword of draft 3; use allOf"),
}
"""For each keyword, a predicate of its values without effect, and the error for the others."""

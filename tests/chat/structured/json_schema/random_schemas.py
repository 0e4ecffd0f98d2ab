"""Hypothesis strategy for random schemas with all supported keywords."""

from typing import Any

from hypothesis import strategies as st

__all__ = ["ANY_SCHEMA"]

_NAMES = st.sampled_from(["a", "b", "not", "type", "x y", "é", 'a"b', "$ref"])
_NUMBERS = st.sampled_from(
    [0, 1, -1, 2, 5, 10, -10, 0.5, -0.5, 1.5, 0.1, -0.3, 99.99, 1e3, 1e-5, -7, 2**31, 2**53]
)
_VALUES = st.recursive(
    st.sampled_from(["", "a", "x\ny", '"q"', "é", 0, 1, -1, 1.5, True, None, "1", 0.1, 1.0]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=2),
    max_leaves=3,
)
_REGEXES = st.sampled_from(
    ["^a", "b$", r"^\d{2,4}$", "^a|b$", r"\w+", r"^[^\s]+$", "^.{1,3}$", r"^\W$", "(^|,)a(,|$)"]
)
_COUNTS = st.integers(0, 4)
_LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries({"enum": st.lists(_VALUES, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"const": _VALUES}),
    st.sampled_from([True, {}, {"type": "boolean"}, {"type": "null"}, {"$ref": "#/$defs/A"}]),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={
            "minimum": _NUMBERS,
            "maximum": _NUMBERS,
            "exclusiveMinimum": _NUMBERS,
            "exclusiveMaximum": _NUMBERS,
            "multipleOf": st.sampled_from([1, 2, 3, 0.5, 7, 2.5]),
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "minLength": _COUNTS,
            "maxLength": _COUNTS,
            "pattern": _REGEXES,
            "format": st.sampled_from(["date", "ipv4", "uuid", "email"]),
        },
    ),
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    schemas = st.lists(inner, min_size=1, max_size=3)
    array = {
        "items": inner,
        "prefixItems": schemas,
        "minItems": _COUNTS,
        "maxItems": _COUNTS,
        "contains": inner,
        "minContains": st.integers(0, 3),
        "maxContains": _COUNTS,
    }
    properties = {
        "properties": st.dictionaries(_NAMES, inner, max_size=3),
        "required": st.lists(_NAMES, max_size=2, unique=True),
        "additionalProperties": inner | st.just(False),
        "patternProperties": st.dictionaries(_REGEXES, inner, max_size=1),
        "minProperties": st.integers(0, 4),
        "maxProperties": st.integers(0, 3),
        "propertyNames": st.sampled_from([{"pattern": "^b"}, {"enum": ["a"]}, {"type": "string"}]),
    }
    applied = {"allOf": schemas, "anyOf": schemas, "oneOf": schemas, "not": inner}
    dependent = {
        "dependencies": st.dictionaries(_NAMES, inner | st.lists(_NAMES, max_size=2), max_size=2),
        "dependentRequired": st.dictionaries(_NAMES, st.lists(_NAMES, max_size=2), max_size=2),
    }
    negated = st.fixed_dictionaries({}, optional={**array, **properties})
    return st.one_of(
        st.fixed_dictionaries({"type": st.just("array")}, optional=array),
        st.fixed_dictionaries({"type": st.just("object")}, optional=properties),
        st.fixed_dictionaries({"type": st.just("object")}, optional={**properties, **applied}),
        *(st.fixed_dictionaries({name: values}) for name, values in applied.items()),
        st.fixed_dictionaries({}, optional={**array, **properties}),
        st.fixed_dictionaries({"not": negated}),
        st.fixed_dictionaries({"type": st.just("object")}, optional={**properties, **dependent}),
        st.fixed_dictionaries({"if": inner}, optional={"then": inner, "else": inner}),
    )


ANY_SCHEMA = st.recursive(_LEAVES, _containers, max_leaves=6)

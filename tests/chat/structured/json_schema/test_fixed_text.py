"""The text that a schema leaves no choice about is bounded, however short the schema is."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.structured.json_schema.fixed_text import max_fixed_length
from friendli_endpoint.generation import RequestError
from tests.chat.structured.json_schema.helpers import error_of
from tests.chat.structured.walks import COMPILER, ENDS, VOCABULARY, walk
from tests.support.chat import ConstraintMaker

WORD = {"const": "word" * 20}
LINE = ConstraintMaker(VOCABULARY, "line")


def times(count: int, items: Any) -> dict[str, Any]:
    """A schema of arrays of so many items."""
    return {"type": "array", "items": items, "minItems": count, "maxItems": count}


def with_all(*values: Any) -> dict[str, Any]:
    """A schema of objects with exactly these properties."""
    named = {f"k{number}": value for number, value in enumerate(values)}
    return {
        "type": "object",
        "properties": named,
        "required": list(named),
        "additionalProperties": False,
    }


def with_some(*values: Any) -> dict[str, Any]:
    """A schema of objects with some of these properties."""
    return {**with_all(*values), "required": []}


@pytest.mark.parametrize(
    "schema",
    [
        times(1000, WORD),
        times(100, times(100, {"type": "null"})),
        times(100, times(100, {"type": "array", "maxItems": 0})),
        times(100, times(100, {"type": "object", "additionalProperties": False})),
        times(100, times(100, {"type": "string", "maxLength": 0})),
        times(100, times(100, {"type": "integer", "minimum": 7, "maximum": 7})),
        times(1000, with_all(WORD, WORD)),
        times(1000, {"type": "string", "pattern": "^(?:ab){10}$"}),
        {**times(1000, {"$ref": "#/$defs/w"}), "$defs": {"w": {"allOf": [WORD]}}},
        {"type": "array", "prefixItems": [WORD] * 200, "minItems": 200},
        with_all(*[WORD] * 200),
        with_all(*["x" * 8000] * 2) | {"properties": {"k0": WORD, "k1": times(500, WORD)}},
        {"const": ["word" * 20] * 200},
        {"anyOf": [{"type": "string"}, times(1000, WORD)]},
        {"allOf": [{"type": "array", "items": WORD}, {"type": "array", "minItems": 1000}]},
        {
            "type": "object",
            "properties": {f"k{number}": WORD for number in range(200)},
            "allOf": [{"type": "object", "required": [f"k{number}" for number in range(200)]}],
        },
        {
            "type": "object",
            "anyOf": [{"allOf": [{"$ref": "#/$defs/r"}]}, {"$ref": "#/$defs/r"}],
            "properties": {f"k{number}": WORD for number in range(200)},
            "$defs": {"r": {"required": [f"k{number}" for number in range(200)]}},
        },
    ],
)
def test_a_long_text_without_a_choice_is_rejected(schema: dict[str, Any]) -> None:
    assert "it prescribes a text of more than 8,192 bytes" in error_of(schema).message


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": [f"{number} {'x' * 200}" for number in range(2000)]},
        times(1000, {"type": "string"}),
        times(100, times(100, {"type": "integer", "minimum": 0, "maximum": 255})),
        times(300, with_all(WORD, {"type": "boolean"}, WORD)),
        times(500, {"type": "string", "pattern": "^[0-9a-f]{32}$"}),
        {"type": "array", "items": {"$ref": "#"}},
        with_all(*[{"type": "string"}] * 1000),
        {
            "type": "object",
            "properties": {f"k{number}": WORD for number in range(200)},
            "allOf": [{"type": "object", "required": ["k3"]}],
        },
    ],
)
def test_long_texts_with_choices_are_supported(schema: dict[str, Any]) -> None:
    COMPILER.json_schema(schema, ENDS, "s")


_LEAVES = st.sampled_from(
    [
        {"const": "ab"},
        {"const": [1, {"a": None}]},
        {"enum": ["abc", "abd"]},
        {"type": "null"},
        {"type": "boolean"},
        {"type": "string"},
        {"type": "string", "pattern": "^a{3}$"},
        {"type": "string", "pattern": "^ab?c$"},
        {"type": "string", "maxLength": 0},
        {"type": "integer", "minimum": 7, "maximum": 7},
        {"type": "array", "maxItems": 0},
    ]
)
_SCHEMAS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(times, st.integers(1, 3), inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda values: with_all(*values)),
        st.lists(inner, min_size=1, max_size=2).map(lambda branches: {"anyOf": branches}),
        st.builds(
            lambda first, rest: {"type": "array", "prefixItems": [first], "items": rest},
            inner,
            inner,
        ),
        st.builds(
            lambda schema, names: {**schema, "allOf": [{"required": names}]},
            st.lists(inner, min_size=1, max_size=3).map(lambda values: with_some(*values)),
            st.lists(st.sampled_from(["k0", "k1"]), unique=True),
        ),
        st.builds(
            lambda need, may: with_all(need) | {"properties": {"k0": need, "m": may}}, inner, inner
        ),
    ),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(_SCHEMAS, st.integers(0, 9))
def test_the_estimate_is_never_too_low(schema: dict[str, Any], seed: int) -> None:
    try:
        constraint = LINE.json_schema(schema, ENDS, "s")
    except RequestError:
        return
    text = walk(constraint.copy(), seed)
    assert text is not None
    estimate = max_fixed_length(json.loads(json.dumps(schema)), {})
    for token in map(VOCABULARY.byte, text.encode()):
        forced = constraint.fast_forward_tokens()
        assert sum(len(VOCABULARY.token_bytes(token)) for token in forced) <= estimate
        if not constraint.allows([token]):
            return  # the text was written with longer tokens
        constraint.accept(token)

"""`uniqueItems`: equal items are never allowed, and different ones stay possible."""

import random
from typing import Any

import pytest

from friendli_endpoint.generation import Vocabulary
from tests.chat.structured.json_schema.helpers import check, error_of
from tests.chat.structured.walks import COMPILER, ENDS, VOCABULARY, allowed, allows_text, walk
from tests.support.chat import ConstraintMaker
from tests.support.scripted import ScriptedVocabulary

ITEMS: dict[str, Any] = {
    "strings": {"type": "string"},
    "constants": {"enum": ["red", "rest", "green", "", "re"]},
    "a constant": {"const": [1, {"a": 2}]},
    "booleans": {"type": "boolean"},
    "anything": {},
    "integers": {"type": "integer", "minimum": 0, "maximum": 12},
    "numbers": {"type": "number"},
    "objects": {
        "type": "object",
        "properties": {"a": {"type": "boolean"}, "b": {"enum": [1, 2]}},
        "required": ["a"],
        "additionalProperties": False,
    },
    "names of any order": {"type": "object", "additionalProperties": {"type": "integer"}},
    "arrays": {"type": "array", "uniqueItems": True, "items": {"enum": [1, 2]}, "maxItems": 2},
    "short strings": {"type": "string", "pattern": "^[ab]{1,2}$"},
    "a list of alternatives": {"anyOf": [{"enum": ["x", 1]}, {"type": "null"}]},
    "references": {"$ref": "#/$defs/color"},
}


def _schema(items: Any, **keywords: Any) -> dict[str, Any]:
    defs = {"color": {"enum": ["red", "green"]}}
    return {"type": "array", "items": items, "uniqueItems": True, "$defs": defs, **keywords}


@pytest.mark.parametrize("items", ITEMS.values(), ids=ITEMS)
@pytest.mark.parametrize("seed", range(12))
def test_every_output_has_different_items_and_never_comes_to_a_dead_end(
    items: Any, seed: int
) -> None:
    schema = _schema(items, maxItems=8)
    text = walk(COMPILER.json_schema(schema, ENDS, "s"), seed, max_tokens=160)
    if text is not None:
        check(schema, text)


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ({"type": "string"}, '["a", "b", "ab", ""]'),
        ({"enum": ["a", "b", "c"]}, '["c", "a", "b"]'),
        ({"type": "boolean"}, "[false, true]"),
        ({}, '[1, "1", true, null, [], {}, [1], {"a": 1}, 10, -1]'),
        ({}, "[[1, 1], [1]]"),
        ({"type": "array", "items": {"type": "integer"}}, "[[1, 1, 1], [1, 1]]"),
        ({"type": "object"}, '[{"a": 1, "b": 2}, {"b": 1, "a": 2}, {"a": 1}]'),
        ({"type": "string"}, '["a\\"", "a\\\\", "a"]'),
    ],
)
def test_different_items_are_allowed_in_any_order(items: Any, text: str) -> None:
    assert allows_text(COMPILER.json_schema(_schema(items), ENDS, "s"), text)


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ({"type": "string"}, '["a", "b", "a"]'),
        ({"enum": ["a", "b"]}, '["a", "b", "b"]'),
        ({"type": "boolean"}, "[true, true]"),
        ({}, "[1, 1.0]"),
        ({}, "[0, -0]"),
        ({"type": "number"}, "[10, 1e1]"),
        ({}, "[null,\nnull]"),
        ({"type": "array"}, "[[1, 2], [1,2]]"),
        ({"type": "object"}, '[{"a": 1, "b": [2]}, {"b": [2], "a": 1}]'),
        ({"type": "string"}, '["a\\"", "a\\""]'),
    ],
)
def test_equal_items_are_not_allowed(items: Any, text: str) -> None:
    assert not allows_text(COMPILER.json_schema(_schema(items), ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "text", "is_allowed"),
    [
        ({"properties": {"a": _schema({}), "b": {}}}, '{"a": [1, 2], "b": [1, 1]}', True),
        ({"properties": {"a": _schema({}), "b": {}}}, '{"a": [1, 1], "b": []}', False),
        ({"items": {"properties": {"a": _schema({})}}}, '[{"a": [1]}, {"a": [1]}]', True),
        ({"properties": {"a": {"uniqueItems": True, "items": {}}}}, '{"a": {"b": [1, 1]}}', True),
        ({"patternProperties": {"^x": _schema({})}}, '{"x1": [1, 1]}', False),
        ({"additionalProperties": _schema({})}, '{"y": [1, 1]}', False),
        ({"allOf": [{"type": "array"}, _schema({})]}, "[2, 2]", False),
        ({"prefixItems": [{}, _schema({})]}, "[[1, 1], [1, 1]]", False),
        ({"prefixItems": [{}, _schema({})]}, "[[1, 1], [1]]", True),
        (_schema({}, maxItems=1), "[1]", True),
    ],
)
def test_it_applies_to_the_arrays_of_the_schema_only(
    schema: dict[str, Any], text: str, is_allowed: bool
) -> None:
    assert allows_text(COMPILER.json_schema(schema, ENDS, "s"), text) == is_allowed


class _LargerVocabulary(ScriptedVocabulary):
    """A vocabulary with tokens of several bytes."""

    def __init__(self, *texts: bytes) -> None:
        super().__init__()
        self._texts = [*dict.fromkeys((*self._texts, *texts))]
        self._ids = {text: token for token, text in enumerate(self._texts)}
        self._max_length = max(map(len, self._texts))
        self.size = len(self._texts)


def test_a_token_of_several_items_is_not_allowed_where_they_might_be_equal() -> None:
    texts = [b'","', b'"a","a"', b"1,1", b"[1,1]", b'a"', b'","a"]', b"[[],[]]", b'","a', b'["']
    texts += [b'",', b"re", b"rest", b"ab", b"green", b'",\n']
    vocabulary = _LargerVocabulary(*texts)
    maker = ConstraintMaker(vocabulary)
    short = {"type": "string", "pattern": "^[ab]{1,2}$"}
    for items in ({"type": "string"}, {}, ITEMS["constants"], short):
        for seed in range(30):
            constraint = maker.json_schema(_schema(items), vocabulary.end_ids, "s")
            text = _random_output(constraint, vocabulary, seed)
            if text is not None:
                check(_schema(items), text)


def _random_output(constraint: Any, vocabulary: Vocabulary, seed: int) -> str | None:
    rng, out = random.Random(seed), b""
    for _ in range(60):
        mask = constraint.mask()
        possible = [t for t in range(vocabulary.size) if mask[t >> 5] >> (t & 31) & 1]
        assert possible
        texts = {vocabulary.token_bytes(token): token for token in possible}
        choices = [text for text in texts if len(text) > 1 or text in b'[]",abredstgn1']
        if any(token in vocabulary.end_ids for token in possible):
            return out.decode()
        chosen = texts[rng.choice(choices or sorted(texts))]
        out += vocabulary.token_bytes(chosen)
        if constraint.accept(chosen):
            return out.decode()
    return None


def test_items_of_a_prefix_count() -> None:
    constraint = COMPILER.json_schema(_schema({"enum": ["a", "b", "c"]}), ENDS, "s")
    assert constraint.read_prefix('["a", "b", "') == ""
    assert not constraint.allows([VOCABULARY.byte(byte) for byte in b'a"'])
    assert allowed(constraint) == {VOCABULARY.byte(ord("c"))}


def test_a_prefix_with_equal_items_is_not_allowed() -> None:
    constraint = COMPILER.json_schema(_schema({"type": "string"}), ENDS, "s")
    assert constraint.read_prefix('["a", "a", "b') != ""


def test_an_array_whose_items_must_differ_too_does_not_come_to_a_dead_end() -> None:
    inner = {"type": "array", "uniqueItems": True, "items": {"enum": [1, 2]}, "maxItems": 2}
    constraint = COMPILER.json_schema(_schema(inner), ENDS, "s")
    assert constraint.read_prefix("[[2,1],[],[1],[1,2],[") == ""
    texts = {VOCABULARY.token_bytes(token).strip() for token in allowed(constraint)} - {b""}
    assert texts == {b"2"}


def test_a_copy_compares_independently() -> None:
    constraint = COMPILER.json_schema(_schema({"type": "boolean"}), ENDS, "s")
    assert constraint.read_prefix("[true") == ""
    copied = constraint.copy()
    for byte in b",false":
        assert not copied.accept(VOCABULARY.byte(byte))
    assert constraint.allows([VOCABULARY.byte(byte) for byte in b",false]"])
    assert not copied.allows([VOCABULARY.byte(byte) for byte in b",false]"])


def test_more_items_than_different_constants_are_rejected() -> None:
    assert error_of(_schema({"type": "boolean"}, minItems=3)).param == "s.minItems"

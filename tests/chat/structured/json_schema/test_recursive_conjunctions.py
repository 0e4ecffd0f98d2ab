"""Recursive references with other keywords beside them are enforced, never too widely."""

import json
from typing import Any

import pytest

from friendli_endpoint.chat.structured.json_schema.recursive_conjunctions import close_conjunctions
from tests.chat.structured.json_schema.helpers import Schema, check, error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk

INTEGER = {"type": "integer"}


def _object(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties}


def _closed(**properties: Any) -> Schema:
    return {**_object(**properties), "additionalProperties": False}


NODE = {"$ref": "#/$defs/node"}
OTHER = {"$ref": "#/$defs/other"}
SCHEMAS: dict[str, tuple[Schema, list[Any], list[Any]]] = {
    "a required property": (
        {**NODE, "$defs": {"node": _object(a=INTEGER, next={**NODE, "required": ["a"]})}},
        [{}, {"next": {"a": 1}}, {"next": {"a": 1, "next": {"a": 2}}}],
        [{"next": {}}, {"next": {"a": 1, "next": {}}}],
    ),
    "a number of properties": (
        {**NODE, "$defs": {"node": _closed(a=INTEGER, next={**NODE, "minProperties": 1})}},
        [{}, {"next": {"a": 1}}, {"next": {"next": {"a": 1}}}],
        [{"next": {}}, {"next": {"a": 1, "next": {}}}, {"b": 1}],
    ),
    "the root in an array": (
        {"type": "array", "items": {"$ref": "#", "minItems": 1}, "maxItems": 2},
        [[]],
        [[[]], [[[]]], [1]],
    ),
    "allOf": (
        {
            **NODE,
            "$defs": {
                "node": {
                    "type": "array",
                    "prefixItems": [INTEGER],
                    "items": {"allOf": [NODE, {"minItems": 1}]},
                }
            },
        },
        [[], [1], [1, [2]], [1, [2, [3]]]],
        [[1, []], [[]], [1, [2, []]]],
    ),
    "alternatives": (
        {
            **NODE,
            "$defs": {
                "node": {"anyOf": [{"type": "null"}, _closed(next={**NODE, "type": "object"})]}
            },
        },
        [None, {}, {"next": {}}, {"next": {"next": {}}}],
        [{"next": None}, {"next": {"next": None}}],
    ),
    "a cycle of two": (
        {
            **NODE,
            "$defs": {
                "node": _object(a=INTEGER, other={**OTHER, "required": ["b"]}),
                "other": _object(b=INTEGER, node={**NODE, "required": ["a", "other"]}),
            },
        },
        [{}, {"other": {"b": 1}}, {"other": {"b": 1, "node": {"a": 1, "other": {"b": 2}}}}],
        [{"other": {}}, {"other": {"b": 1, "node": {"a": 1}}}],
    ),
    "two trees at once": (
        {
            "allOf": [NODE, OTHER],
            "$defs": {
                "node": {**_object(next=NODE, v=INTEGER), "required": ["v"]},
                "other": {**_object(next=OTHER, w=INTEGER), "required": ["w"]},
            },
        },
        [{"v": 1, "w": 2}, {"next": {"v": 1, "w": 2}, "v": 1, "w": 2}],
        [{"v": 1}, {"next": {"v": 1}, "v": 1, "w": 2}, {"next": {"w": 1}, "v": 1, "w": 2}],
    ),
    "a property of the target too": (
        {
            **NODE,
            "properties": {"next": {"required": ["b"]}},
            "$defs": {"node": _object(a=INTEGER, b=INTEGER, next={**NODE, "required": ["a"]})},
        },
        [{}, {"next": {"a": 1, "b": 1}}, {"next": {"a": 1, "b": 1, "next": {"a": 2}}}],
        [{"next": {"a": 1}}, {"next": {"b": 1}}, {"next": {"a": 1, "b": 1, "next": {}}}],
    ),
    "items of two lists": (
        {
            "allOf": [NODE, OTHER],
            "$defs": {
                "node": {"type": "array", "items": NODE, "maxItems": 2},
                "other": {"type": "array", "items": OTHER, "minItems": 0, "maxItems": 3},
            },
        },
        [[], [[]], [[[]], []]],
        [[1], [[], [], []], [[[], [], []]]],
    ),
    "a branch without end": (
        {**NODE, "$defs": {"node": _object(next={**NODE, "required": ["next"]})}},
        [{}],
        [{"next": {}}, {"next": {"next": {}}}],
    ),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_listed_instances_are_allowed_exactly_if_they_are_valid(name: str) -> None:
    schema, valid, invalid = SCHEMAS[name]
    for instance in (*valid, *invalid):
        constraint = COMPILER.json_schema(schema, ENDS, "s")
        assert allows_text(constraint, json.dumps(instance)) == (instance in valid), instance


@pytest.mark.parametrize("name", SCHEMAS)
def test_random_outputs_are_valid(name: str) -> None:
    schema, _, _ = SCHEMAS[name]
    texts = [walk(COMPILER.json_schema(schema, ENDS, "s"), seed) for seed in range(30)]
    found = [text for text in texts if text is not None]
    assert found
    for text in found:
        check(schema, text)


def test_equal_combinations_share_a_definition() -> None:
    combined = {**NODE, "required": ["a"]}
    node = _object(**{f"p{index}": combined for index in range(20)})
    _, definitions = close_conjunctions({**NODE}, {"node": node})
    assert definitions.keys() == {"node", "c0"}


def test_a_schema_without_such_a_combination_is_not_changed() -> None:
    root, named = {**NODE, "required": ["a"]}, {"node": _object(next=NODE)}
    assert close_conjunctions(root, named) == (root, named)


def test_combinations_beyond_the_limit_are_rejected_by_name() -> None:
    node = _object(**{f"p{n}": {**OTHER, "required": [f"q{n}"]} for n in range(1_000)})
    second = _object(x={**OTHER, "required": ["x"]}, y=NODE)
    schema = {**NODE, "$defs": {"node": node, "other": {**second, "allOf": [{}] * 8}}}
    error = error_of(schema)
    assert error.param == "s.$defs.node.properties.p0.$ref"
    assert "a recursive $ref must not have other keywords" in error.message


@pytest.mark.parametrize("keyword", ["$ref", "properties"])
def test_a_long_chain_of_combinations_needs_no_deep_stack(keyword: str) -> None:
    named: Schema = {}
    for number in range(2_000):
        following = {"$ref": f"#/$defs/d{(number + 1) % 2_000}", "required": ["a"]}
        step = {"properties": {"a": following}}
        named[f"d{number}"] = following if keyword == "$ref" and number else step
    root = {"$ref": "#/$defs/d0"}
    _, definitions = close_conjunctions(root, named)
    assert definitions.keys() >= named.keys()

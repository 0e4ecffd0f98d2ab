"""`unevaluatedProperties` beside schemas that describe properties."""

import json

import pytest
from jsonschema import Draft202012Validator

from tests.chat.structured.json_schema.helpers import Schema, check
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk

_NUMBER: Schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
_TEXT: Schema = {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}
_DEFS = {"number": _NUMBER, "x": {"patternProperties": {"^x-": True}}}
SCHEMAS: dict[str, Schema] = {
    "allOf": {"type": "object", "allOf": [_NUMBER, _TEXT]},
    "$ref": {"$ref": "#/$defs/number", "$defs": _DEFS, "properties": {"c": {}}},
    "patterns": {"$ref": "#/$defs/x", "$defs": _DEFS, "type": "object", "properties": {"c": {}}},
    "anyOf": {"type": "object", "anyOf": [_NUMBER, _TEXT], "properties": {"c": {}}},
    "oneOf": {"type": "object", "oneOf": [{**_NUMBER, "properties": {"a": {}, "b": False}}, _TEXT]},
    "if": {
        "type": "object",
        "properties": {"c": {"enum": [1, 2]}},
        "if": {"properties": {"c": {"const": 1}}, "required": ["c"]},
        "then": _NUMBER,
    },
    "nested": {"type": "object", "allOf": [{"anyOf": [_NUMBER, _TEXT]}, {"properties": {"c": {}}}]},
    "all are described": {"type": "object", "allOf": [{"additionalProperties": {"type": "null"}}]},
}
_VALUES = [
    *({"a": 1}, {"b": "x"}, {"a": 1, "b": "x"}, {"c": 1}, {"a": 1, "c": 1}, {"c": 1, "a": 1}, {}),
    *({"x-y": 1}, {"c": 2, "x-y": 1}, {"b": "x", "c": 1}, {"d": None}, {"a": 1, "d": None}),
    *({"c": 2, "a": 1}, {"c": 1, "a": 1, "b": "x"}),
]


@pytest.mark.parametrize("rest", [False, {"type": "null"}], ids=["false", "a schema"])
@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_no_property_that_is_not_described_is_allowed(schema: Schema, rest: object) -> None:
    whole = {**schema, "unevaluatedProperties": rest}
    for value in _VALUES:
        text = json.dumps(value)
        if allows_text(COMPILER.json_schema(whole, ENDS, "s"), text):
            check(whole, text)
    for seed in range(15):
        found = walk(COMPILER.json_schema(whole, ENDS, "s"), seed)
        if found is not None:
            check(whole, found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("allOf", '{"a": 1, "b": "x"}'),
        ("$ref", '{"a": 1}'),
        ("patterns", '{"c": 2, "x-y": 1}'),
        ("anyOf", '{"a": 1}'),
        ("anyOf", '{"b": "x"}'),
        ("anyOf", '{"b": "x", "c": 1}'),
        ("oneOf", '{"a": 1}'),
        ("oneOf", '{"b": "x"}'),
        ("if", '{"c": 1, "a": 1}'),
        ("if", '{"c": 2}'),
        ("nested", '{"b": "x"}'),
        ("all are described", '{"d": null}'),
    ],
)
def test_the_properties_that_schemas_beside_it_describe_are_allowed(name: str, text: str) -> None:
    whole = {**SCHEMAS[name], "unevaluatedProperties": False}
    assert Draft202012Validator(whole).is_valid(json.loads(text))
    assert allows_text(COMPILER.json_schema(whole, ENDS, "s"), text)

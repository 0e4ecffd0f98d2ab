"""Schemas that no finite value satisfies are rejected; as a part of a schema they are false."""

import pytest

from friendli_endpoint.chat.structured.json_schema.finiteness import replace_infinite
from tests.chat.structured.json_schema.helpers import Schema, error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "s"),
        (False, "s"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param


_ENDLESS = {
    "allOf": [
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/endless"}}},
        {"required": ["a"]},
    ]
}
_LIST = {"type": "array", "items": {"$ref": "#/$defs/list"}, "allOf": [{"minItems": 1}]}


@pytest.mark.parametrize(
    "endless",
    [
        {"$ref": "#/$defs/endless"},
        {"$ref": "#/$defs/list"},
        {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/endless"}]},
        {"$ref": "#/$defs/endless", "required": ["b"]},
    ],
)
def test_a_definition_without_a_finite_value_counts_as_false(endless: Schema) -> None:
    schema = {
        "type": "object",
        "properties": {"b": endless},
        "$defs": {"endless": _ENDLESS, "list": _LIST},
    }
    assert allows_text(COMPILER.json_schema(schema, ENDS, "s"), "{}")
    for text in ('{"b": {"a": 1}}', '{"b": [1]}', '{"b": {}}', '{"b": []}'):
        assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)
    nullable = allows_text(COMPILER.json_schema(schema, ENDS, "s"), '{"b": null}')
    assert nullable == ("anyOf" in endless)


def test_the_work_for_nested_branches_does_not_multiply() -> None:
    schema: Schema = {"type": "null"}
    for _ in range(30):
        required = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
        schema = {"allOf": [{"allOf": [required]}]}
    assert replace_infinite(schema, {}) == (schema, {})

"""Dynamic references with one possible target are references."""

import copy

import pytest

from friendli_endpoint.chat.structured.json_schema.dynamic import with_fixed_references
from tests.chat.structured.json_schema.helpers import Schema, error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text

_TREE: Schema = {
    "$dynamicAnchor": "node",
    "type": "object",
    "properties": {"next": {"$dynamicRef": "#node"}, "value": {"type": "integer"}},
}


@pytest.mark.parametrize(
    "schema",
    [
        _TREE,
        {
            "type": "object",
            "properties": {"next": {"$recursiveRef": "#"}, "value": {"type": "integer"}},
        },
    ],
)
def test_they_are_enforced_as_references(schema: Schema) -> None:
    before = copy.deepcopy(schema)
    assert allows_text(COMPILER.json_schema(schema, ENDS, "s"), '{"next": {"value": 1}}')
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), '{"next": {"value": ""}}')
    assert schema == before


@pytest.mark.parametrize(
    "schema",
    [
        {"$dynamicRef": "#nowhere"},
        {"anyOf": [_TREE, {"$dynamicAnchor": "node"}]},
        {"$defs": {"other": {"$id": "other", "$dynamicAnchor": "x"}}, "items": _TREE},
    ],
)
def test_they_are_rejected_if_another_document_might_define_the_target(schema: Schema) -> None:
    assert with_fixed_references(schema) == schema
    assert error_of(schema).param is not None
    assert "fixed target" in error_of(schema).message


def test_a_property_or_constant_of_that_name_is_no_reference() -> None:
    schema = {"properties": {"$dynamicRef": {"const": {"$dynamicRef": "#"}}}}
    assert with_fixed_references(schema) is schema

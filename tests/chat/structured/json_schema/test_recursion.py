"""Cycles of references are rejected; chains of references are limited in depth."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk


@pytest.mark.parametrize(("schema", "param"), [({"allOf": [{"$ref": "#"}]}, "s.allOf[0].$ref")])
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#", "type": "object", "required": ["a"]},
        {"allOf": [{"allOf": [{"$ref": "#"}]}], "type": "object", "required": ["a"]},
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A", "required": ["a"]}}},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}], "required": ["a"]},
    ],
)
def test_a_schema_that_requires_itself_holds_without_that_reference(schema: Schema) -> None:
    assert allows_text(COMPILER.json_schema(schema, ENDS, "s"), '{"a": 1}')
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), '{"b": 1}')


_NOT_ALL = {"A": {"required": ["a"], "allOf": [{"$ref": "#/$defs/A", "minProperties": 1}]}}
_TWO = {"A": {"required": ["a"], "$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A", "title": "b"}}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/A/allOf/0", "$defs": _NOT_ALL},  # its target is wider than A
        {"$ref": "#/$defs/B", "$defs": _TWO},
        {"required": ["a"], "not": {"$ref": "#"}},
        {"required": ["a"], "if": {"$ref": "#"}, "then": True},
    ],
)
def test_a_reference_back_is_rejected_if_leaving_it_out_might_allow_more(schema: Schema) -> None:
    assert "without a property or item in between" in error_of(schema).message


_CYCLE = {"anyOf": [{"anyOf": [{"$ref": "#/$defs/A"}]}, {"type": "object"}]}


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"$ref": "#/$defs/A", "$defs": {"A": _CYCLE}}, "s.$defs.A.anyOf[0].anyOf[0].$ref"),
        (
            {"properties": {"x": {"items": {"$ref": "#/$defs/A"}}}, "$defs": {"A": _CYCLE}},
            "s.$defs.A.anyOf[0].anyOf[0].$ref",
        ),
        ({"$ref": "#/$defs/A/anyOf/0", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}]}}}, None),
        ({"anyOf": [{"type": "null"}, {"$ref": "#"}]}, "s.anyOf[1].$ref"),
        ({"oneOf": [{"type": "null"}, {"type": "array", "$ref": "#"}]}, "s.oneOf[1].$ref"),
        ({"$ref": "#/$defs/$ref", "$defs": {"$ref": {"$ref": "#"}}}, "s.$defs.$ref.$ref"),
        ({"oneOf": [{"minLength": 1}, {"pattern": "a"}, {"$ref": "#"}]}, "s.oneOf[2].$ref"),
        ({"not": {"not": {"$ref": "#"}}}, "s.not.not.$ref"),
        ({"if": {"$ref": "#"}}, "s.if.$ref"),
        ({"properties": {"not": {"$ref": "#/properties"}}}, "s.properties.not.$ref"),
    ],
)
def test_cycles_of_references_on_the_same_value_are_rejected(
    schema: Schema, param: str | None
) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == (param or "s.$defs.A.anyOf[0].$ref")
    assert "without a property or item in between" in error.message


def test_a_cycle_without_a_reference_to_it_is_ignored() -> None:
    walk(COMPILER.json_schema({"type": "null", "$defs": {"A": _CYCLE}}, ENDS, "s"), 0)


def _chain(length: int) -> Schema:
    links = {f"d{n}": {"properties": {"x": {"$ref": f"#/$defs/d{n + 1}"}}} for n in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**links, f"d{length}": {}}}


@pytest.mark.parametrize(("schema", "message"), [(_chain(3000), "deeper than 120 levels")])
def test_schemas_beyond_the_limits_are_rejected(schema: Schema, message: str) -> None:
    assert message in error_of(schema).message


@pytest.mark.parametrize("schema", [_chain(40)])
def test_large_schemas_are_supported(schema: Schema) -> None:
    walk(COMPILER.json_schema(schema, ENDS, "s"), 1, max_tokens=100)

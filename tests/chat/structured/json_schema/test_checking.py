"""Keywords with invalid values, or that cannot be enforced, are rejected."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, error_of
from tests.chat.structured.schemas import D4, SCHEMAS
from tests.chat.structured.walks import COMPILER, ENDS, allows_text


@pytest.mark.parametrize(("schema", "text"), [({"type": "object", "nullable": True}, "null")])
def test_values_that_violate_the_schema_are_not_allowed(schema: Schema, text: str) -> None:
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"contains": {}}, "s.contains"),
        ({"uniqueItems": True}, "s.uniqueItems"),
        ({"$dynamicRef": "#x"}, "s.$dynamicRef"),
        ({"$recursiveRef": "#"}, "s.$recursiveRef"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"type": "objekt"}, "s.type"),
        ({"type": []}, "s.type"),
        ({"type": {"a": 1}}, "s.type"),
        ({"properties": []}, "s.properties"),
        ({"properties": {"a": 3}}, "s.properties"),
        ({"items": 3}, "s.items"),
        ({"required": True}, "s.required"),
        ({"properties": {"required": {"required": "a"}}}, "s.properties.required.required"),
        ({"enum": []}, "s.enum"),
        ({"enum": "a"}, "s.enum"),
        ({"anyOf": []}, "s.anyOf"),
        ({"allOf": {}}, "s.allOf"),
        ({"minLength": -1}, "s.minLength"),
        ({"minLength": 1.5}, "s.minLength"),
        ({"maxItems": "3"}, "s.maxItems"),
        ({"minimum": "3"}, "s.minimum"),
        ({"minimum": True}, "s.minimum"),
        ({"minimum": float("nan")}, "s.minimum"),
        ({"multipleOf": 0}, "s.multipleOf"),
        ({"pattern": 3}, "s.pattern"),
        ({"$ref": 3}, "s.$ref"),
        ({"maxLength": None}, "s.maxLength"),
        ({"$schema": SCHEMAS["zod"]["$schema"], "exclusiveMinimum": True}, "s.exclusiveMinimum"),
        ({"$schema": D4, "minimum": 1, "exclusiveMinimum": 0}, "s.exclusiveMinimum"),
        ({"anyOf": [{"$ref": "#/x"}], "x": []}, "s.x"),
        ({"not": {"$ref": "#/x"}, "x": []}, "s.x"),
        ({"if": {"$ref": "#/x"}, "then": False, "x": "a"}, "s.x"),
    ],
)
def test_invalid_schemas_are_rejected_with_the_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert (error.code, error.param) == ("invalid_schema", param)

"""References that lead round in circles are named; long chains of them have a limit."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, refusal_of
from tests.chat.structured.walking import COMPILER, ENDS, walk


@pytest.mark.parametrize(("schema", "param"), [({"allOf": [{"$ref": "#"}]}, "s.allOf[0].$ref")])
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == param


_CIRCLE = {"anyOf": [{"anyOf": [{"$ref": "#/$defs/A"}]}, {"type": "object"}]}


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"$ref": "#/$defs/A", "$defs": {"A": _CIRCLE}}, "s.$defs.A.anyOf[0].anyOf[0].$ref"),
        (
            {"properties": {"x": {"items": {"$ref": "#/$defs/A"}}}, "$defs": {"A": _CIRCLE}},
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
def test_a_reference_that_leads_back_to_itself_is_named(schema: Schema, param: str | None) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == (param or "s.$defs.A.anyOf[0].$ref")
    assert "without a value in between" in refusal.message


def test_a_circle_that_nothing_refers_to_does_no_harm() -> None:
    walk(COMPILER.json_schema({"type": "null", "$defs": {"A": _CIRCLE}}, ENDS, "s"), 0)


def _chain(length: int) -> Schema:
    links = {f"d{n}": {"properties": {"x": {"$ref": f"#/$defs/d{n + 1}"}}} for n in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**links, f"d{length}": {}}}


@pytest.mark.parametrize(("schema", "named"), [(_chain(3000), "deeper than 120 levels")])
def test_what_would_take_too_much_is_refused(schema: Schema, named: str) -> None:
    assert named in refusal_of(schema).message


@pytest.mark.parametrize("schema", [_chain(40)])
def test_what_is_large_is_taken_and_can_be_followed(schema: Schema) -> None:
    walk(COMPILER.json_schema(schema, ENDS, "s"), 1, most=100)

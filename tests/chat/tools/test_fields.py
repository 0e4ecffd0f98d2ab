"""The arguments of a tool one by one: supported and unsupported schemas."""

import json
from typing import Any

import pytest

from friendli_endpoint.chat.structured.json_schema import rewrite_schema
from friendli_endpoint.chat.tools import ToolSpec
from friendli_endpoint.chat.tools.fields import Raw, fields_of, raw_of
from friendli_endpoint.generation import RequestError

from .cases import family, read
from .one_value import ENDS, FORMS, STRING
from .walk import Walk, as_text, constraint


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    "root",
    [
        {"anyOf": [{"required": ["x"]}, {"required": ["y"]}]},
        {"minProperties": 2},
        {"patternProperties": {"^x": {"minLength": 3}}},
    ],
)
def test_constraints_on_the_whole_object_are_unsupported(name: str, root: dict[str, Any]) -> None:
    spec = ToolSpec("f", None, {"type": "object", "properties": {"x": STRING}, **root})
    with pytest.raises(RequestError, match=next(iter(root))):
        family(name).grammar([spec], required=True, parallel=True, marker=as_text)


@pytest.mark.parametrize("name", FORMS)
def test_argument_names_that_the_format_cannot_express_are_unsupported(name: str) -> None:
    spec = ToolSpec("f", None, {"type": "object", "properties": {"a\n<>=": STRING}})
    with pytest.raises(RequestError, match="name"):
        family(name).grammar([spec], required=True, parallel=True, marker=as_text)


def test_a_required_property_without_a_schema_allows_anything() -> None:
    (field,) = fields_of(ToolSpec("f", None, {"type": "object", "required": ["z"]}))
    assert (field.name, dict(field.schema), field.required) == ("z", {}, True)
    with pytest.raises(RequestError, match="required property z"):
        fields_of(ToolSpec("f", None, {"required": ["z"], "additionalProperties": False}))


@pytest.mark.parametrize("name", FORMS)
def test_optional_arguments_may_be_omitted(name: str) -> None:
    schema = {"type": "object", "properties": {k: {"type": "null"} for k in "abc"}}
    spec = ToolSpec("f", None, rewrite_schema({**schema, "required": ["b"]}, "p").root)
    for keys in ("b", "ab", "bc", "abc"):
        walk = Walk(constraint(family(name), [spec], as_text, required=True, parallel=False))
        opening, before, after = FORMS[name]
        value = "None" if name == "pythonic" else "null"
        parameters = [before.replace("x>", f"{k}>").replace(">x<", f">{k}<") for k in keys]
        if name == "pythonic":
            parameters = [f"{k}=" for k in keys]
        joined = (", " if name == "pythonic" else "").join(p + value + after for p in parameters)
        walk.write(opening + joined + ENDS[name])
        (call,) = read(name, [walk.text], [spec]).calls
        assert json.loads(call.arguments) == dict.fromkeys(keys)


@pytest.mark.parametrize(
    ("schema", "raw"),
    [
        (STRING, Raw([], 0, None)),
        ({"type": "string", "minLength": 1, "maxLength": 9}, Raw([], 1, 9)),
        ({"type": "string", "title": "City", "examples": [1]}, Raw([], 0, None)),
        ({"enum": ["a", "b"]}, Raw(["a", "b"], 0, None)),
        ({"type": "string", "enum": ["a"]}, Raw(["a"], 0, None)),
        ({"const": "a"}, Raw(["a"], 0, None)),
        ({"$ref": "#/$defs/E", "$defs": {"E": STRING}}, Raw([], 0, None)),
        ({"$ref": "#/definitions/E", "definitions": {"E": {"const": "a"}}}, Raw(["a"], 0, None)),
    ],
)
def test_strings_with_simple_constraints_are_written_without_quotes(
    schema: dict[str, Any], raw: Raw
) -> None:
    assert raw_of(schema) == raw


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"minLength": 1},
        {"type": "integer"},
        {"type": ["string", "null"]},
        {"type": "string", "pattern": "a"},
        {"type": "string", "format": "date"},
        {"type": "integer", "enum": ["a"]},
        {"enum": ["a", 1]},
        {"enum": ["a", None]},
        {"const": 1},
        {"enum": ["a"], "const": "a"},
        {"enum": ["abc"], "maxLength": 1},
        {"$ref": "#/$defs/E", "minLength": 2, "$defs": {"E": STRING}},
        {"$ref": "#/$defs/absent", "$defs": {"E": STRING}},
        {"$ref": "#/$defs/E", "$defs": {"E": {"$ref": "#/$defs/E"}}},
    ],
)
def test_all_other_values_are_written_as_json(schema: dict[str, Any]) -> None:
    assert raw_of(schema) is None


def spec(**parameters: Any) -> ToolSpec:
    return ToolSpec("f", None, {"type": "object", **parameters})


def test_properties_keep_the_order_of_the_schema_and_undeclared_required_ones_follow() -> None:
    properties = {"b": STRING, "a": {"type": "integer"}}
    others = {"type": "null"}
    tool = spec(properties=properties, required=["z", "a", "z"], additionalProperties=others)
    fields = fields_of(tool)
    assert [(field.name, field.required) for field in fields] == [
        ("b", False),
        ("a", True),
        ("z", True),
    ]
    assert fields[2].schema == others


def test_a_property_without_allowed_values_is_omitted_or_unsupported_if_required() -> None:
    properties = {"a": False, "b": STRING}
    (field,) = fields_of(spec(properties=properties))
    assert field.name == "b"
    with pytest.raises(
        RequestError, match="the required property a, for which no value is allowed"
    ) as caught:
        fields_of(spec(properties=properties, required=["a"]))
    assert (caught.value.param, caught.value.code) == ("tools", "unsupported_schema")


def test_a_field_contains_the_definitions_that_it_refers_to() -> None:
    definitions = {"E": {"enum": ["a"]}}
    (field,) = fields_of(spec(properties={"a": {"$ref": "#/$defs/E"}}, **{"$defs": definitions}))
    assert field.schema == {"$ref": "#/$defs/E", "$defs": definitions}
    assert raw_of(field.schema) == Raw(["a"], 0, None)


def test_a_schema_that_is_only_a_reference_is_resolved() -> None:
    inner = {"type": "object", "properties": {"a": STRING}, "required": ["a"]}
    tool = ToolSpec("f", None, {"$ref": "#/$defs/F", "$defs": {"F": inner}})
    (field,) = fields_of(tool)
    assert (field.name, field.required) == ("a", True)
    with pytest.raises(RequestError, match="\\$ref at the top"):
        fields_of(ToolSpec("f", None, {"$ref": "#/$defs/F/properties", "$defs": {"F": inner}}))

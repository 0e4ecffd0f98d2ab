"""Gemma's grammar allows exactly the values of a schema, as its parser reads them."""

import json
from typing import Any

import jsonschema
import pytest

from friendli_endpoint.chat.structured.json_schema import rewrite_schema
from friendli_endpoint.chat.tools import ToolSpec
from friendli_endpoint.generation import RequestError

from .cases import family, read
from .walk import Walk, allowed, as_text, as_token, constraint

TEXT = {"type": "string"}
TREE = {
    "type": "object",
    "properties": {"name": TEXT, "parts": {"type": "array", "items": {"$ref": "#/$defs/T"}}},
    "required": ["name"],
    "additionalProperties": False,
}
PLACE = {
    "type": "object",
    "properties": {"Z": {"type": "integer"}, "a": TEXT, "b": {"type": "boolean"}},
    "required": ["b"],
    "additionalProperties": False,
}


def tool(schema: dict[str, Any]) -> ToolSpec:
    whole = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
    return ToolSpec("f", None, rewrite_schema({**whole, "$defs": {"T": TREE}}, "p").root)


def written(spec: ToolSpec, value: str) -> str | None:
    """Returns a call with the text of a value; None if the grammar does not allow it."""
    opening, closing, quote = family("gemma4").markers
    walk = Walk(constraint(family("gemma4"), [spec], as_text, required=True, parallel=False))
    for token in f"{opening}call:f{{x:{value}}}{closing}".replace("@", quote).encode():
        if walk.ended or token not in allowed(walk.state):
            return None
        walk.append(token)
    return walk.text


CASES: list[tuple[dict[str, Any], list[tuple[str, Any]], list[str]]] = [
    (TEXT, [("@@", ""), ('@a, }"@', 'a, }"')], ["a", '"a"', "1"]),
    ({"type": "string", "minLength": 2, "maxLength": 3}, [("@ab@", "ab")], ["@a@", "@abcd@"]),
    ({"enum": ["a", "b c"]}, [("@b c@", "b c")], ["@c@", "a", '"a"']),
    ({"type": "integer", "maximum": 9}, [("7", 7)], ["10", "@7@", "1.5"]),
    ({"type": "boolean"}, [("true", True)], ["True", "@true@"]),
    ({"anyOf": [TEXT, {"type": "null"}]}, [("@a@", "a"), ("null", None)], ["1", '"a"']),
    ({"type": ["string", "integer"]}, [("@a@", "a"), ("3", 3)], ["true"]),
    ({"type": "array", "items": TEXT}, [("[]", []), ("[@a@,@]@]", ["a", "]"])], ["[1]", "[@a@,]"]),
    (
        {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
        [("[1]", [1]), ("[1,2]", [1, 2])],
        ["[]", "[1,2,3]"],
    ),
    (
        PLACE,
        [("{b:true}", {"b": True}), ("{a:@x@,b:false,Z:1}", {"a": "x", "b": False, "Z": 1})],
        ["{}", "{b:true,a:@x@}", "{b:true,c:1}", "{a:@x@}", "{b:true,}"],
    ),
    (
        {"$ref": "#/$defs/T"},
        [("{name:@a@,parts:[{name:@b@}]}", {"name": "a", "parts": [{"name": "b"}]})],
        ["{parts:[]}", "{name:@a@,parts:[{}]}"],
    ),
    (
        {"type": "object", "additionalProperties": {"type": "integer"}},
        [("{}", {}), ("{a:1,b:2}", {"a": 1, "b": 2})],
        ["{a:@x@}", "{:1}"],
    ),
    (
        {},
        [("{a:[1,@x@,null],b:{}}", {"a": [1, "x", None], "b": {}}), ("-2.5", -2.5), ("[]", [])],
        ["{a}", "{1", "[,]", "x"],
    ),
    # Other keywords: the value is written as JSON.
    ({"type": "string", "pattern": "^[a-z]+$"}, [('"ab"', "ab")], ['"1"', "@ab@"]),
    ({"enum": [1, "a", None]}, [('"a"', "a"), ("null", None)], ["2", '"b"']),
    (
        {"type": "object", "properties": {"a b": TEXT}, "additionalProperties": False},
        [('{"a b": "c"}', {"a b": "c"})],
        ["{a b:@c@}"],
    ),
]


@pytest.mark.parametrize(("schema", "valid", "invalid"), CASES)
def test_the_grammar_allows_the_values_of_a_schema_and_no_others(
    schema: dict[str, Any], valid: list[tuple[str, Any]], invalid: list[str]
) -> None:
    spec = tool(schema)
    for text, value in valid:
        output = written(spec, text)
        assert output is not None, text
        (call,) = read("gemma4", [output], [spec]).calls
        assert json.loads(call.arguments) == {"x": value}
        jsonschema.validate({"x": value}, {"properties": {"x": schema}, "$defs": {"T": TREE}})
    for text in invalid:
        assert written(spec, text) is None, text


@pytest.mark.parametrize("name", ["", "a:b", "a b", "a,b", "{", "x" * 257])
def test_an_argument_name_that_would_end_early_is_unsupported(name: str) -> None:
    spec = ToolSpec("f", None, {"type": "object", "properties": {name: {}}})
    with pytest.raises(RequestError, match="is not supported in this model's tool-call format"):
        family("gemma4").grammar([spec], required=True, parallel=False, marker=as_text)


@pytest.mark.parametrize("marker", [as_text, as_token])
def test_the_same_schema_may_occur_twice(marker: Any) -> None:
    whole = {"type": "object", "properties": {"a": PLACE, "b": PLACE, "c": {}, "d": {}}}
    spec = ToolSpec("f", None, rewrite_schema(whole, "p").root)
    constraint(family("gemma4"), [spec, spec], marker, required=False, parallel=True)


def test_the_grammar_grows_with_the_schema_and_not_with_its_depth() -> None:
    sizes = []
    for depth in (5, 10, 20):
        schema: dict[str, Any] = TEXT
        for _ in range(depth):
            nested = {"a": {"type": "array", "items": schema}}
            schema = {"type": "object", "properties": nested, "additionalProperties": False}
        spec = ToolSpec("f", None, {"type": "object", "properties": {"x": schema}})
        grammar = family("gemma4").grammar([spec], required=True, parallel=False, marker=as_text)
        sizes.append(len(grammar))
    assert sizes[2] < 3 * sizes[1] < 9 * sizes[0]

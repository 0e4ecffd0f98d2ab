"""Arguments that are not written as one JSON object: which schemas they can have, how they read."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.chat.structured.json_schema import fit_schema
from friendli_endpoint.chat.tools import ToolSpec
from friendli_endpoint.chat.tools.fields import fields_of
from friendli_endpoint.chat.tools.literal import as_json
from friendli_endpoint.generation import Refusal

from .cases import family, read
from .walk import Walk, allowed, as_text, constraint

FORMS = {
    "qwen_coder": ("<tool_call>\n<function=f>\n", "<parameter=x>\n", "\n</parameter>\n"),
    "glm": ("<tool_call>f\n", "<arg_key>x</arg_key>\n<arg_value>", "</arg_value>\n"),
    "pythonic": ("[f(", "x=", ""),
}
ENDS = {
    "qwen_coder": "</function>\n</tool_call>",
    "glm": "</tool_call>",
    "pythonic": ")]",
}


def tool(schema: dict[str, Any], required: bool = True, **root: Any) -> ToolSpec:
    names = ["x"] if required else []
    whole = {"type": "object", "properties": {"x": schema}, "required": names, **root}
    return ToolSpec("f", None, fit_schema(whole, "p").root)


def written(name: str, spec: ToolSpec, value: str) -> str | None:
    """A call with a value as it stands; None where the grammar does not allow it."""
    walk = Walk(constraint(family(name), [spec], as_text, required=True, parallel=False))
    opening, before, after = FORMS[name]
    for token in (opening + before + value + after + ENDS[name]).encode():
        if walk.ended or token not in allowed(walk.state):
            return None
        walk.take(token)
    return walk.text


STRING = {"type": "string"}
XML = ["qwen_coder", "glm"]
VALUES: list[tuple[dict[str, Any], str, Any, list[str]]] = [
    (STRING, "a < b\n\n</b> \"q\" 'é' 12", "a < b\n\n</b> \"q\" 'é' 12", XML),
    (STRING, "", "", XML),
    (STRING, "true", "true", XML),
    (STRING, '"a, )b"', "a, )b", ["pythonic"]),
    ({"type": "string", "minLength": 2, "maxLength": 3}, "é1", "é1", XML),
    ({"enum": ["a", "ab"]}, "ab", "ab", XML),
    ({"$ref": "#/$defs/E"}, "b", "b", XML),
    ({"type": "string", "pattern": "^a+$"}, '"aa"', "aa", [*XML, "pythonic"]),
    ({"type": ["string", "null"]}, "null", None, [*XML, "pythonic"]),
    ({"type": "integer"}, "12", 12, [*XML, "pythonic"]),
    ({"type": "boolean"}, "true", True, XML),
    ({"type": "boolean"}, "True", True, ["pythonic"]),
    ({"type": "null"}, "None", None, ["pythonic"]),
    ({"enum": [1, "a"]}, '"a"', "a", [*XML, "pythonic"]),
    ({"type": "array"}, '["</parameter></arg_value>", 1]', ["</parameter></arg_value>", 1], XML),
]
DEFINITIONS = {"E": {"enum": ["a", "b"]}}


@pytest.mark.parametrize(
    ("name", "schema", "text", "value"),
    [(name, schema, text, value) for schema, text, value, names in VALUES for name in names],
)
def test_values(name: str, schema: dict[str, Any], text: str, value: Any) -> None:
    spec = tool(schema, True, **({"$defs": DEFINITIONS} if "$ref" in schema else {}))
    output = written(name, spec, text)
    assert output is not None
    (call,) = read(name, [output], [spec]).calls
    assert json.loads(call.arguments) == {"x": value}
    assert read(name, list(output), [spec]) == read(name, [output], [spec])
    jsonschema.validate({"x": value}, {"properties": {"x": schema}, "$defs": DEFINITIONS})


@pytest.mark.parametrize("name", XML)
@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string", "minLength": 2, "maxLength": 3}, "é"),
        ({"type": "string", "minLength": 2, "maxLength": 3}, "éabc"),
        ({"enum": ["a", "ab"]}, "abc"),
        ({"type": "integer"}, '"1"'),
        ({"type": "string", "pattern": "^a+$"}, "aa"),
        ({"type": ["string", "null"]}, "text"),
    ],
)
def test_values_that_the_schema_forbids(name: str, schema: dict[str, Any], text: str) -> None:
    assert written(name, tool(schema), text) is None


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    "root",
    [
        {"anyOf": [{"required": ["x"]}, {"required": ["y"]}]},
        {"minProperties": 2},
        {"patternProperties": {"^x": {"minLength": 3}}},
    ],
)
def test_schemas_of_the_whole_object_are_refused(name: str, root: dict[str, Any]) -> None:
    spec = ToolSpec("f", None, {"type": "object", "properties": {"x": STRING}, **root})
    with pytest.raises(Refusal, match=next(iter(root))):
        family(name).grammar([spec], required=True, parallel=True, marker=as_text)


@pytest.mark.parametrize("name", FORMS)
def test_names_that_the_form_cannot_carry_are_refused(name: str) -> None:
    spec = ToolSpec("f", None, {"type": "object", "properties": {"a\n<>=": STRING}})
    with pytest.raises(Refusal, match="name"):
        family(name).grammar([spec], required=True, parallel=True, marker=as_text)


def test_a_required_property_that_is_not_described_may_be_anything() -> None:
    (field,) = fields_of(ToolSpec("f", None, {"type": "object", "required": ["z"]}))
    assert (field.name, dict(field.schema), field.required) == ("z", {}, True)
    with pytest.raises(Refusal, match="z is required"):
        fields_of(ToolSpec("f", None, {"required": ["z"], "additionalProperties": False}))


@pytest.mark.parametrize("name", FORMS)
def test_optional_arguments_may_be_left_out(name: str) -> None:
    schema = {"type": "object", "properties": {k: {"type": "null"} for k in "abc"}}
    spec = ToolSpec("f", None, fit_schema({**schema, "required": ["b"]}, "p").root)
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
    ("text", "value"),
    [
        ("1", 1),
        ("'it\\'s'", "it's"),
        ("'a\\n\\x41\\u00e9\\U0001f600'", "a\nA\u00e9\U0001f600"),
        ("[True, False, None,]", [True, False, None]),
        ("(1, 'a')", [1, "a"]),
        ("{'a': {'b': (1,)}}", {"a": {"b": [1]}}),
        ('{"a": null}', {"a": None}),
        ("f(1)", "f(1)"),
        ("NaN", "NaN"),
        ("1e999x", "1e999x"),
        ("", ""),
        ("'\\d'", "\\d"),
    ],
)
def test_literals(text: str, value: Any) -> None:
    assert json.loads(as_json(text)) == value


@given(st.text())
def test_anything_becomes_json(text: str) -> None:
    json.loads(as_json(text))


SCALARS = st.none() | st.booleans() | st.integers() | st.text()
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@given(PLAIN)
def test_json_and_python_spell_the_same(value: Any) -> None:
    assert json.loads(as_json(json.dumps(value))) == value
    assert json.loads(as_json(repr(value))) == value

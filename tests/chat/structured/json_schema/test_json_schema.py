"""JSON schemas: what is taken is enforced, as another validator sees it; the rest is named."""

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from friendli_endpoint.chat.structured.json_schema import fit_schema
from friendli_endpoint.chat.structured.json_schema.document import subschemas
from friendli_endpoint.generation import Refusal
from tests.chat.structured.schemas import D4, D6, D7, D2019, D2020, SCHEMAS
from tests.chat.structured.walking import COMPILER, ENDS, follows, walk

Schema = dict[str, Any]


def _check(schema: Schema, text: str) -> None:
    """That a text is JSON that a schema allows, by the draft that it names."""
    kind = validator_for(schema, default=Draft202012Validator)
    kind(schema, format_checker=kind.FORMAT_CHECKER).validate(json.loads(text))


def _refusal(schema: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        COMPILER.json_schema(schema, ENDS, "s")
    assert caught.value.status == 400
    assert caught.value.param is not None and caught.value.param in caught.value.message
    return caught.value


@pytest.mark.parametrize("name", SCHEMAS)
def test_outputs_of_real_schemas_are_valid(name: str) -> None:
    schema = SCHEMAS[name]
    finished = 0
    for seed in range(12):
        text = walk(COMPILER.json_schema(schema, ENDS, "s"), seed)
        if text is not None:
            finished += 1
            _check(schema, text)
    assert finished


_NAMES = st.sampled_from(["a", "b", "not", "type", "x y", "é", 'a"b', "$ref"])
_NUMBERS = st.sampled_from(
    [0, 1, -1, 2, 5, 10, -10, 0.5, -0.5, 1.5, 0.1, -0.3, 99.99, 1e3, 1e-5, -7, 2**31, 2**53]
)
_VALUES = st.recursive(
    st.sampled_from(["", "a", "x\ny", '"q"', "é", 0, 1, -1, 1.5, True, None, "1", 0.1, 1.0]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=2),
    max_leaves=3,
)
_REGEXES = st.sampled_from(
    ["^a", "b$", r"^\d{2,4}$", "^a|b$", r"\w+", r"^[^\s]+$", "^.{1,3}$", r"^\W$", "(^|,)a(,|$)"]
)
_COUNTS = st.integers(0, 4)
_LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries({"enum": st.lists(_VALUES, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"const": _VALUES}),
    st.sampled_from([True, {}, {"type": "boolean"}, {"type": "null"}, {"$ref": "#/$defs/A"}]),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={
            "minimum": _NUMBERS,
            "maximum": _NUMBERS,
            "exclusiveMinimum": _NUMBERS,
            "exclusiveMaximum": _NUMBERS,
            "multipleOf": st.sampled_from([1, 2, 3, 0.5, 7, 2.5]),
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "minLength": _COUNTS,
            "maxLength": _COUNTS,
            "pattern": _REGEXES,
            "format": st.sampled_from(["date", "ipv4", "uuid", "email"]),
        },
    ),
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    array = {
        "items": inner,
        "prefixItems": several,
        "minItems": _COUNTS,
        "maxItems": _COUNTS,
    }
    properties = {
        "properties": st.dictionaries(_NAMES, inner, max_size=3),
        "required": st.lists(_NAMES, max_size=2, unique=True),
        "additionalProperties": inner | st.just(False),
        "patternProperties": st.dictionaries(_REGEXES, inner, max_size=1),
        "minProperties": st.integers(0, 2),
        "maxProperties": st.integers(0, 3),
        "propertyNames": st.sampled_from([{"pattern": "^b"}, {"enum": ["a"]}, {"type": "string"}]),
    }
    applied = {"allOf": several, "anyOf": several, "oneOf": several, "not": inner}
    dependent = {
        "dependencies": st.dictionaries(_NAMES, inner | st.lists(_NAMES, max_size=2), max_size=2),
        "dependentRequired": st.dictionaries(_NAMES, st.lists(_NAMES, max_size=2), max_size=2),
    }
    denied = st.fixed_dictionaries({}, optional={**array, **properties, "contains": inner})
    return st.one_of(
        st.fixed_dictionaries({"type": st.just("array")}, optional=array),
        st.fixed_dictionaries({"type": st.just("object")}, optional=properties),
        st.fixed_dictionaries({"type": st.just("object")}, optional={**properties, **applied}),
        *(st.fixed_dictionaries({name: values}) for name, values in applied.items()),
        st.fixed_dictionaries({}, optional={**array, **properties}),
        st.fixed_dictionaries({"not": denied}),
        st.fixed_dictionaries({"type": st.just("object")}, optional={**properties, **dependent}),
        st.fixed_dictionaries({"if": inner}, optional={"then": inner, "else": inner}),
    )


_ANY_SCHEMA = st.recursive(_LEAVES, _containers, max_leaves=6)


@settings(max_examples=300, deadline=None)
@given(_ANY_SCHEMA, _ANY_SCHEMA, st.integers(0, 2**32))
def test_any_schema_is_enforced_or_refused(root: Any, inner: Any, seed: int) -> None:
    schema: Schema = {"allOf": [root], "$defs": {"A": inner}}
    try:
        constraint = COMPILER.json_schema(schema, ENDS, "s")
    except Refusal as refusal:
        assert refusal.status == 400 and refusal.param is not None
        return
    text = walk(constraint, seed)
    if text is not None:
        _check(schema, text)


_DRAFTS = st.sampled_from([None, D4, D4.rstrip("#"), D6, D7, D2019, D2020, "https://example.com/"])
_POINTERS = {
    "#/$defs/A": {"$defs": {"A": None}},
    "#/definitions/a~1b%20%7E0%25": {"definitions": {"a/b ~%": None}},
    "#/x-parts/list/1": {"x-parts": {"list": [{}, None]}},
}
_NOISE: dict[str, Any] = {
    "title": "A title",
    "description": "not",
    "$comment": "$ref",
    "default": {"$ref": "#/nowhere", "type": 3},
    "examples": [{"not": {}}],
    "readOnly": True,
    "nullable": True,
    "deprecated": False,
    "x-order": {"enum": []},
    "enumNames": ["a"],
}


def _dressed(schema: Any, noise: dict[str, Any]) -> Any:
    """The same schema, with annotations in it and everything that is inside it."""
    if not isinstance(schema, dict):
        return schema
    dressed = json.loads(json.dumps(schema))
    for place, inner in subschemas(schema):
        around = dressed
        for step in place[:-1]:
            around = around[step]
        around[place[-1]] = _dressed(inner, noise)
    return {**noise, **dressed}


@settings(max_examples=200, deadline=None)
@given(
    _ANY_SCHEMA,
    _ANY_SCHEMA,
    _DRAFTS,
    st.sampled_from(sorted(_POINTERS)),
    st.lists(st.sampled_from(sorted(_NOISE)), max_size=3),
    st.integers(0, 2**32),
)
def test_any_schema_in_any_draft(
    root: Any, inner: Any, draft: str | None, pointer: str, noise: list[str], seed: int
) -> None:
    notes = {name: _NOISE[name] for name in noise}
    text = json.dumps([_dressed(root, notes), _dressed(inner, notes)])
    root, inner = json.loads(text.replace('"#/$defs/A"', f'"{pointer}"'))
    target = json.loads(json.dumps(_POINTERS[pointer]).replace("null", json.dumps(inner)))
    schema = {**({"$schema": draft} if draft else {}), "allOf": [root, {}], **target}
    try:
        constraint = COMPILER.json_schema(schema, ENDS, "s")
    except Refusal as refusal:
        assert refusal.status == 400 and refusal.param is not None
        return
    output = walk(constraint, seed)
    if output is not None:
        _check(schema, output)


WRONGLY_TAKEN: list[tuple[Schema, str]] = [
    ({"properties": {"a": {"type": "integer"}}}, r'{"\u0061": "x"}'),
    ({"properties": {"a": {"type": "integer"}}}, r'{"a": 1,"\u0061": "x"}'),
    ({"properties": {"a": {"type": "integer"}}}, '{"a": 1,"a": "x"}'),
    ({"properties": {"a\nb": {"type": "integer"}}}, r'{"a\u000ab": "x"}'),
    ({"x-guidance": {"lenient": True}, "type": "string", "format": "date"}, '"x"'),
    ({"type": "integer", "minimum": 2**53 - 1, "maximum": 2**53}, "9007199254740993"),
    ({"type": "string", "format": "date"}, '"2023-02-29"'),
    ({"type": "string", "format": "date-time"}, '"2024-01-01T00:00:60Z"'),
    ({"type": "string", "pattern": r"^\s$"}, '"\u00a0"'),
    ({"type": "string", "pattern": r"^\D$"}, '"\u0660"'),
    ({"type": "string", "pattern": "^.$"}, '"\u2028"'),
    ({"type": "integer", "format": "int32"}, "2147483648"),
    ({"type": "object", "nullable": True}, "null"),
    ({"type": "number", "minimum": 3, "exclusiveMinimum": True}, "3"),
    ({"type": "array", "items": [{"type": "integer"}], "additionalItems": False}, "[1,2]"),
    ({"$ref": "#/$defs/a", "maximum": 3, "$defs": {"a": {"type": "integer"}}}, "4"),
    ({"type": "string"}, r'"\ud800"'),
    ({"patternProperties": {"^.*$": {"type": "integer"}}}, r'{"a\rb": "x"}'),
    ({"patternProperties": {"^a$": {"type": "integer"}}}, r'{"a\n": "x"}'),
    ({"patternProperties": {r"^\w$": {"type": "integer"}}}, '{"é": "x"}'),
    (
        {
            "properties": {"é": {}},
            "patternProperties": {r"^\w$": {"type": "integer"}},
            "additionalProperties": False,
        },
        '{"é": "x"}',
    ),
]


@pytest.mark.parametrize(("schema", "text"), WRONGLY_TAKEN)
def test_what_a_schema_does_not_allow_is_not_said(schema: Schema, text: str) -> None:
    assert not follows(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize("draft", [D4, D6, D7, D2019])
def test_prefix_items_are_refused_or_ignored_before_the_draft_that_brought_them(draft: str) -> None:
    schema = {
        "$schema": draft,
        "type": "array",
        "items": {"type": "array"},
        "prefixItems": [{"const": ""}],
    }
    try:
        constraint = COMPILER.json_schema(schema, ENDS, "s")
    except Refusal as refusal:
        assert refusal.param == "s.prefixItems"
        return
    assert not follows(constraint, '[""]')


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"not": {"pattern": "a"}}, "s.not.pattern"),
        ({"if": {"pattern": "a"}, "then": {}}, "s.if.pattern"),
        ({"contains": {}}, "s.contains"),
        ({"uniqueItems": True}, "s.uniqueItems"),
        ({"dependencies": {"a": {"contains": {}}}}, "s.dependencies.a.contains"),
        ({"$dynamicRef": "#x"}, "s.$dynamicRef"),
        ({"$recursiveRef": "#"}, "s.$recursiveRef"),
        ({"$ref": "https://example.com/x"}, "s.$ref"),
        ({"items": {"$ref": "#/$defs/no"}}, "s.items.$ref"),
        ({"unevaluatedProperties": False, "allOf": [{}]}, "s.unevaluatedProperties"),
        ({"unevaluatedItems": False, "anyOf": [{}]}, "s.unevaluatedItems"),
        ({"minProperties": 2}, "s.minProperties"),
        ({"properties": {"a": {}}, "maxProperties": 3}, "s.maxProperties"),
        ({"propertyNames": {"pattern": "a"}, "required": ["a"]}, "s.propertyNames"),
        ({"propertyNames": {"pattern": "a", "minLength": 1}}, "s.propertyNames"),
        ({"patternProperties": {"^a": {}, "b$": {}}}, "s.patternProperties"),
        ({"patternProperties": {r"\ba": {}}}, r's.patternProperties["\\ba"]'),
        ({"properties": {"p": {"pattern": "(?=a)"}}}, "s.properties.p.pattern"),
        ({"properties": {"p": {"pattern": "(?=a)"}, "(?=a)": {}}}, "s.properties.p.pattern"),
        ({"properties": {"contains": {"contains": {}}}}, "s.properties.contains.contains"),
        ({"properties": {"format": {"format": "x"}}}, "s.properties.format.format"),
        ({"enum": [{"not": 1}], "allOf": [{"contains": {}}]}, "s.allOf[0].contains"),
        ({"properties": {"a b": {"contains": {}}}}, 's.properties["a b"].contains'),
        ({"properties": {"0": {"contains": {}}}}, 's.properties["0"].contains'),
        ({"items": [{}, {"contains": {}}]}, "s.items[1].contains"),
        ({"type": "string", "format": "colour"}, "s.format"),
        ({"type": "string", "format": "unknown"}, "s.format"),
        ({"oneOf": [{"type": "string"}, {"pattern": "a"}]}, "s.oneOf"),
        ({"oneOf": [{"uniqueItems": True}, {"type": "array"}]}, "s.oneOf"),
        ({"const": 2**53 + 1}, "s.const"),
        ({"enum": ["ok", {"a": [1e300]}]}, "s.enum[1]"),
        ({"const": "\x00"}, "s.const"),
        ({"properties": {"\x7f": {}}}, 's.properties["\\u007f"]'),
        ({"type": "integer", "minimum": 2**53 + 1}, "s.minimum"),
        ({"multipleOf": 0.01}, "s.multipleOf"),
        ({"allOf": [{"multipleOf": 99991}, {"multipleOf": 99989}]}, "s.allOf[1].multipleOf"),
        ({"minItems": 10**9}, "s.minItems"),
        ({"minLength": 10**9}, "s.minLength"),
        ({"minimum": 5, "maximum": 1, "type": "number"}, "s.minimum"),
        ({"minLength": 5, "maxLength": 1, "type": "string"}, "s.minLength"),
        (
            {
                "properties": {"b": False, "a": {"type": "string", "minLength": 2, "const": "x"}},
                "required": ["a"],
                "type": "object",
            },
            "s.properties.a",
        ),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "prefixItems": [{}]}, None),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "s.$schema"),
        ({"allOf": [{"$ref": "#"}]}, "s.allOf[0].$ref"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "s"),
        (False, "s"),
    ],
)
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str | None) -> None:
    refusal = _refusal(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == (param or "s.prefixItems")


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
    refusal = _refusal(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == (param or "s.$defs.A.anyOf[0].$ref")
    assert "without a value in between" in refusal.message


def test_a_circle_that_nothing_refers_to_does_no_harm() -> None:
    walk(COMPILER.json_schema({"type": "null", "$defs": {"A": _CIRCLE}}, ENDS, "s"), 0)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ([], "s"),
        (None, "s"),
        ("string", "s"),
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
        ({"prefixItems": [{}], "items": [{}]}, "s.items"),
        ({"anyOf": [{"$ref": "#/x"}], "x": []}, "s.x"),
        ({"not": {"$ref": "#/x"}, "x": []}, "s.x"),
        ({"if": {"$ref": "#/x"}, "then": False, "x": "a"}, "s.x"),
    ],
)
def test_what_is_no_schema_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = _refusal(schema)
    assert (refusal.code, refusal.param) == ("invalid_schema", param)


def _chain(length: int) -> Schema:
    links = {f"d{n}": {"properties": {"x": {"$ref": f"#/$defs/d{n + 1}"}}} for n in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**links, f"d{length}": {}}}


def _nested_conditions(levels: int) -> Schema:
    schema: Schema = {"required": ["a"]}
    for _ in range(levels):
        schema = {"if": schema, "then": {"required": ["b"]}, "else": {"required": ["c"]}}
    return schema


def _doubling(levels: int) -> Schema:
    """Each definition holds two copies of the one before, with something added to each."""
    doubled = {
        f"d{n + 1}": {
            "properties": {
                name: {"allOf": [{"$ref": f"#/$defs/d{n}"}, {"properties": {f"{name}{n}": {}}}]}
                for name in "xy"
            }
        }
        for n in range(levels)
    }
    return {"$ref": f"#/$defs/d{levels}", "$defs": {"d0": {"type": "object"}, **doubled}}


def _deep(levels: int) -> Schema:
    schema: Schema = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        (_chain(3000), "deeper than 120 levels"),
        (_deep(3000), "deeper than 100 levels"),
        ({"description": "x" * 600_000}, "524,288 characters"),
        ({"properties": {f"p{n}": {} for n in range(2001)}}, "2,000 properties"),
        ({"anyOf": [{"const": n} for n in range(20_001)]}, "20,000 schemas"),
        (
            {
                "allOf": [
                    {"anyOf": [{"type": "object", "required": [f"{n}{m}"]} for m in range(3)]}
                    for n in range(16)
                ]
            },
            "too complex",
        ),
        ({"type": "string", "pattern": "^(a?){500}a{500}$"}, "too complex"),
        (_doubling(30), "too complex"),
        (_nested_conditions(40), "20,000 schemas"),
        ({"patternProperties": {f"^{n}$": {} for n in range(101)}}, "100 patterns"),
        ({"enum": [[n] for n in range(10_001)]}, "10,000 constants"),
    ],
)
def test_what_would_take_too_much_is_refused(schema: Schema, named: str) -> None:
    assert named in _refusal(schema).message


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 5_000, "maxLength": 10**12},
        {"type": "array", "items": {"type": "integer"}, "maxItems": 10**12},
        {"enum": [f"value {n}" for n in range(10_000)]},
        {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(2_000)}},
        {"type": "string", "pattern": "^(x+x+)+y$"},
        {"type": "string", "pattern": "^.*a.{200}$"},
        _chain(40),
    ],
)
def test_what_is_large_is_taken_and_can_be_followed(schema: Schema) -> None:
    walk(COMPILER.json_schema(schema, ENDS, "s"), 1, most=100)


def test_many_definitions_are_looked_at_once_each() -> None:
    links = {
        f"d{n}": {
            "type": "object",
            "properties": {"x": {"$ref": f"#/$defs/d{(n * 7 + 1) % 4001}"}},
            "required": ["x"],
        }
        for n in range(4000)
    }
    roots = {f"r{n}": {"$ref": f"#/$defs/d{n}"} for n in range(1999, 0, -1)}
    schema = {"type": "object", "properties": roots, "$defs": {**links, "d4000": {}}}
    with pytest.raises(Refusal):
        fit_schema({**schema, "required": ["r1"], "contains": {}}, "s")
    started = time.process_time()
    with suppress(Refusal):
        fit_schema(schema, "s")
    assert time.process_time() - started < 2


def test_characters_that_need_four_digits_are_refused_in_names_and_constants() -> None:
    short = {ord(character) for character in "\b\t\n\f\r"}
    refused = {*range(32), 127, *range(0xD800, 0xE000)} - short
    for code in (*range(256), *range(0xD7F0, 0xE010), 0xFFFF, 0x10000, 0x10FFFF):
        text = f"a{chr(code)}"
        schemas: list[Schema] = [
            {"const": text},
            {"enum": [{text: 1}]},
            {"properties": {text: {}}},
        ]
        for schema in schemas:
            try:
                fit_schema(schema, "s")
            except Refusal as refusal:
                assert code in refused and "control character" in refusal.message
            else:
                assert code not in refused


def test_options_of_the_compiler_cannot_be_sent() -> None:
    forged = json.loads(json.dumps(fit_schema({"type": "string"}, "s").root))
    forged["$dynamicRef"] = "#"
    assert _refusal(forged).param == "s.$dynamicRef"


def test_properties_come_in_the_order_of_the_schema() -> None:
    schema = {
        "type": "object",
        "required": ["b", "a"],
        "properties": {"b": {"type": "null"}, "a": {"type": "null"}},
        "additionalProperties": False,
    }
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    assert not follows(constraint, '{"a":null,"b":null}')
    assert follows(COMPILER.json_schema(schema, ENDS, "s"), '{"b":null,"a":null}')

"""`contains` with `minContains` and `maxContains`: allowed arrays are valid, and bounds hold."""

import json
from itertools import product
from typing import Any

import pytest
from jsonschema.validators import Draft202012Validator, validator_for

from tests.chat.structured.json_schema.helpers import Schema, check, error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk

_ONE: Schema = {"type": "array", "contains": {"const": 1}}
_TAGGED = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}
_DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#"}
_VALUES: list[Any] = [list(items) for size in range(5) for items in product([1, "x"], repeat=size)]
_VALUES += [{}, "x", 1, None, [{"a": 1}], [{"a": 2}], [{"a": 1}, {}], [{}, {"a": 1}, {"a": 1}]]


def allows(schema: Schema, value: object) -> bool:
    return allows_text(COMPILER.json_schema(schema, ENDS, "s"), json.dumps(value))


EXACT: list[Schema] = [
    _ONE,
    {"contains": {"const": 1}},
    {"type": ["array", "null"], "contains": {"const": 1}, "minItems": 3},
    {**_ONE, "minContains": 0},
    {**_ONE, "minContains": 2},
    {**_ONE, "minContains": 3, "maxItems": 3},
    {**_ONE, "maxContains": 1},
    {**_ONE, "maxContains": 2, "items": {"enum": [1, "x"]}},
    {**_ONE, "minContains": 0, "maxContains": 0},
    {**_ONE, "minContains": 0, "maxContains": 1},
    {**_ONE, "minContains": 2, "maxContains": 2},
    {**_ONE, "maxContains": 9, "maxItems": 9},
    {**_ONE, "minContains": 2, "maxContains": 3},
    {**_ONE, "items": {"type": "integer"}},
    {**_ONE, "prefixItems": [{"type": "string"}, {"type": "integer"}]},
    {**_ONE, "prefixItems": [{"type": "string"}], "items": {"type": "integer"}, "maxContains": 1},
    {**_ONE, "prefixItems": [{}, {}], "items": False},
    {"type": "array", "contains": _TAGGED},
    {"type": "array", "contains": _TAGGED, "items": {"type": "object"}, "maxContains": 1},
    {"type": "array", "contains": {"$ref": "#/$defs/T"}, "$defs": {"T": _TAGGED}},
    {"type": "array", "contains": True},
    {"type": "array", "contains": {}, "minContains": 2, "maxContains": 3},
    {"type": "array", "contains": False, "minContains": 0, "maxContains": 0},
    {"contains": {"const": 1}, "items": {"type": "string"}},
    {"type": "array", "allOf": [{"contains": {"const": 1}}, {"contains": {"const": "x"}}]},
    {"type": "array", "not": {"contains": {"const": 1}}},
    {**_ONE, **_DRAFT_7, "minContains": 0},
    {**_ONE, **_DRAFT_7, "maxContains": 0},
    {**_ONE, **_DRAFT_7, "items": [{"type": "string"}], "additionalItems": {"type": "integer"}},
    {"minContains": 2, "maxContains": 1},
]


@pytest.mark.exhaustive
@pytest.mark.parametrize("schema", EXACT, ids=json.dumps)
def test_exactly_the_valid_ones_of_short_arrays_are_allowed(schema: Schema) -> None:
    validator = validator_for(schema, default=Draft202012Validator)(schema)
    for value in _VALUES:
        assert allows(schema, value) == validator.is_valid(value), value
    for seed in range(5):
        text = walk(COMPILER.json_schema(schema, ENDS, "s"), seed)
        if text is not None:
            check(schema, text)


def test_more_allowed_items_than_are_chosen_are_only_written_at_the_beginning() -> None:
    schema = {**_ONE, "maxContains": 40}
    assert allows(schema, [1] * 32)
    assert allows(schema, ["x"] * 7 + [1])
    assert not allows(schema, [1] * 41)


def test_the_item_may_be_one_of_the_first_eight_after_those_with_a_schema_of_their_own() -> None:
    strings = {**_ONE, "prefixItems": [{"type": "string"}] * 10}
    assert allows(_ONE, ["x"] * 7 + [1])
    assert not allows(_ONE, ["x"] * 8 + [1])
    assert allows(strings, ["x"] * 17 + [1])
    assert not allows(strings, ["x"] * 10)


def test_items_that_must_differ_can_be_contained() -> None:
    schema = {
        "type": "array",
        "items": {"enum": [1, 2, 3]},
        "uniqueItems": True,
        "contains": {"enum": [2, 3]},
        "minContains": 2,
    }
    assert [allows(schema, value) for value in ([2, 1, 3], [3, 2], [2, 2], [1, 2])] == [
        *(True, True, False, False)
    ]


@pytest.mark.parametrize("bounds", [{}, {"maxContains": 1}, {"minContains": 2, "maxContains": 4}])
@pytest.mark.parametrize("num_properties", [10, 100, 200])
def test_items_with_many_properties_are_taken(num_properties: int, bounds: Schema) -> None:
    item = {
        "type": "object",
        "properties": {f"p{n}": {"type": "integer"} for n in range(num_properties)},
    }
    schema = {"type": "array", "items": item, "contains": {"required": ["p3"]}, **bounds}
    contained, also = {"p3": 1}, {"p1": 1}
    min_count = bounds.get("minContains", 1)
    assert allows(schema, [also, *[contained] * min_count])
    assert not allows(schema, [also])
    assert not allows(schema, [contained] * (min_count - 1))


def test_items_may_have_arrays_with_contained_items() -> None:
    schema = {"type": "array", "items": _ONE, "contains": {"minItems": 2}}
    assert allows(schema, [[1], ["x", 1]])
    assert not allows(schema, [[1], [1]])
    assert not allows(schema, [["x", 1], ["x"]])


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({**_ONE, "minContains": 33}, "s.minContains"),
        ({**_ONE, "minContains": 3, "maxItems": 2}, "s.minContains"),
        ({**_ONE, "maxItems": 0}, "s.contains"),
        ({**_ONE, "minContains": 2, "maxContains": 1}, "s.maxContains"),
        ({**_ONE, "maxContains": 0}, "s.maxContains"),
        ({**_ONE, "minContains": 2, "uniqueItems": True}, "s.minContains"),
        ({"type": "array", "contains": False}, "s.contains"),
        ({**_ONE, "items": False}, "s.contains"),
        ({"contains": {"format": "date"}, "maxContains": 1}, "s.contains.format"),
        ({"items": {"contains": {"pattern": "(?<=a)"}}}, "s.items.contains.pattern"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert (error.code, error.param) == ("unsupported_schema", param)


def test_an_item_without_a_value_is_explained() -> None:
    error = error_of({**_ONE, "items": {"type": "string"}})
    assert "an item that minItems or contains requires" in error.message

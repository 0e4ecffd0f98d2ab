"""Object keywords: names, order and number of properties."""

import json
from itertools import combinations

import pytest
from jsonschema import Draft202012Validator

from friendli_endpoint.chat.structured.json_schema.objects import num_candidates
from tests.chat.structured.json_schema.helpers import Schema, check, error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk

OPEN: Schema = {"type": "object", "properties": {name: {"type": "integer"} for name in "abcd"}}
CLOSED: Schema = {**OPEN, "additionalProperties": False}
PATTERN: Schema = {**CLOSED, "patternProperties": {"^z": {"type": "null"}}}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"properties": {"a": {"type": "integer"}}}, r'{"\u0061": "x"}'),
        ({"properties": {"a": {"type": "integer"}}}, r'{"a": 1,"\u0061": "x"}'),
        ({"properties": {"a": {"type": "integer"}}}, '{"a": 1,"a": "x"}'),
        ({"properties": {"a\nb": {"type": "integer"}}}, r'{"a\u000ab": "x"}'),
    ],
)
def test_values_that_violate_the_schema_are_not_allowed(schema: Schema, text: str) -> None:
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"minProperties": 2}, "s.minProperties"),
        ({"properties": {"a": {}}, "minProperties": 3}, "s.minProperties"),
        ({**CLOSED, "minProperties": 5}, "s.minProperties"),
        ({**CLOSED, "minProperties": 3, "maxProperties": 2}, "s.maxProperties"),
        ({**OPEN, "required": ["a", "b"], "maxProperties": 1}, "s.maxProperties"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param


@pytest.mark.parametrize(
    ("schema", "message"),
    [({"properties": {f"p{n}": {} for n in range(2001)}}, "2,000 properties")],
)
def test_schemas_beyond_the_limits_are_rejected(schema: Schema, message: str) -> None:
    assert message in error_of(schema).message


DESCRIBED = {"type": "string", "description": "What this property is good for, in a sentence."}


@pytest.mark.parametrize(
    "schema",
    [{"type": "object", "properties": {f"p{n}": DESCRIBED for n in range(2_000)}}],
)
def test_large_schemas_are_supported(schema: Schema) -> None:
    walk(COMPILER.json_schema(schema, ENDS, "s"), 1, max_tokens=100)


def test_properties_are_generated_in_the_order_of_the_schema() -> None:
    schema = {
        "type": "object",
        "required": ["b", "a"],
        "properties": {"b": {"type": "null"}, "a": {"type": "null"}},
        "additionalProperties": False,
    }
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    assert not allows_text(constraint, '{"a":null,"b":null}')
    assert allows_text(COMPILER.json_schema(schema, ENDS, "s"), '{"b":null,"a":null}')


COUNTS: list[Schema] = [
    *({"minProperties": count} for count in range(5)),
    *({"maxProperties": count} for count in range(5)),
    {"minProperties": 5},
    {"minProperties": 2, "maxProperties": 3},
    {"minProperties": 3, "maxProperties": 3},
    {"minProperties": 3, "required": ["b"]},
    {"maxProperties": 2, "required": ["c"]},
    {"minProperties": 2, "type": ["object", "integer"]},
]
VALUES = [
    *(dict.fromkeys(names, 1) for size in range(5) for names in combinations("abcd", size)),
    *({**dict.fromkeys(names, 1), "z": None} for names in ("", "c", "ad", "bcd", "abcd")),
    *(1, "x", []),
]


@pytest.mark.exhaustive
@pytest.mark.parametrize("counts", COUNTS, ids=json.dumps)
@pytest.mark.parametrize("base", [OPEN, CLOSED, PATTERN], ids=["open", "closed", "pattern"])
def test_exactly_the_objects_with_a_valid_number_of_properties_are_allowed(
    base: Schema, counts: Schema
) -> None:
    schema = {**base, **counts}
    if base is CLOSED and counts.get("minProperties") == 5:
        assert error_of(schema).param == "s.minProperties"
        return
    validator = Draft202012Validator(schema)
    for value in VALUES:
        found = allows_text(COMPILER.json_schema(schema, ENDS, "s"), json.dumps(value))
        assert found == validator.is_valid(value), value
    for seed in range(5):
        text = walk(COMPILER.json_schema(schema, ENDS, "s"), seed)
        if text is not None:
            check(schema, text)


@pytest.mark.parametrize("num_properties", [30, 100, 300])
@pytest.mark.parametrize("min_count", [1, 3])
def test_choices_among_many_properties_are_bounded(min_count: int, num_properties: int) -> None:
    named = {f"p{n}": {"type": "integer"} for n in range(num_properties)}
    schema = {"type": "object", "properties": named, "minProperties": min_count}
    first = json.dumps({f"p{n}": 1 for n in range(min_count)})
    assert allows_text(COMPILER.json_schema(schema, ENDS, "s"), first)
    for text in ("{}", *(['{"p7":1}'] if min_count > 1 else [])):
        assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)


def test_any_property_may_be_left_out_beside_a_maximum() -> None:
    named = {f"p{n}": {"type": "integer"} for n in range(200)}
    schema = {"type": "object", "properties": named, "maxProperties": 3}
    assert allows_text(COMPILER.json_schema(schema, ENDS, "s"), '{"p1":1,"x":1}')
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), '{"p1":1,"x":1,"y":1,"z":1}')


@pytest.mark.parametrize(
    ("size", "max_candidates", "max_sets", "expected"),
    [(1, 8, 64, 8), (1, 100, 64, 64), (2, 100, 64, 11), (3, 5, 64, 5), (3, 9, 1, 3), (4, 2, 9, 4)],
)
def test_the_number_of_candidates_keeps_their_sets_within_the_limit(
    size: int, max_candidates: int, max_sets: int, expected: int
) -> None:
    assert num_candidates(size, max_candidates, max_sets) == expected

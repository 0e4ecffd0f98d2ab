"""Objects of one branch of a `oneOf` never satisfy another, whatever tells them apart."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from friendli_endpoint.chat.structured.json_schema.disjoint import Comparison
from friendli_endpoint.chat.structured.json_schema.document import Document
from friendli_endpoint.generation import RequestError
from tests.chat.structured.json_schema.helpers import Schema
from tests.chat.structured.walks import COMPILER, ENDS, allows_text

NAMES = ("a", "b", "c")
VALUES: tuple[Schema, ...] = ({}, {"type": "integer"}, {"type": "string"}, {"const": 1})
OBJECTS = [
    dict(zip(names, values, strict=True))
    for size in range(4)
    for names in itertools.combinations(NAMES, size)
    for values in itertools.product((1, "x"), repeat=size)
]


def _branches() -> st.SearchStrategy[Schema]:
    plain: st.SearchStrategy[Schema] = st.fixed_dictionaries(
        {"properties": st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES))},
        optional={
            "type": st.sampled_from(["object", ["object", "null"]]),
            "required": st.lists(st.sampled_from(NAMES), unique=True),
            "additionalProperties": st.just(False),
        },
    )
    return st.one_of(
        plain,
        st.lists(plain, min_size=1, max_size=2).map(lambda branches: {"allOf": branches}),
        st.lists(plain, min_size=1, max_size=2).map(lambda branches: {"anyOf": branches}),
        plain.map(lambda schema: {"properties": {}, "type": "object", "allOf": [schema]}),
    )


@given(st.lists(_branches(), min_size=2, max_size=5))
@settings(max_examples=150, deadline=None)
def test_every_object_that_is_allowed_satisfies_exactly_one_branch(branches: list[Schema]) -> None:
    schema = {"oneOf": branches}
    validator = Draft202012Validator(schema)
    try:
        constraint = COMPILER.json_schema(schema, ENDS, "s")
    except RequestError:
        return
    for value in (*OBJECTS, None, 1):
        if allows_text(constraint.copy(), json.dumps(value)):
            validator.validate(value)


def _closed(*names: str) -> Schema:
    named = {name: {"type": "integer"} for name in names}
    return {"type": "object", "properties": named, "additionalProperties": False}


def _requiring(*names: str) -> Schema:
    return {"type": "object", "required": list(names), "properties": {name: {} for name in names}}


@pytest.mark.parametrize(
    ("branches", "allowed"),
    [
        ([_closed("a"), _closed("b")], [{"a": 1}, {"b": 1}]),
        ([_closed("a"), _closed("a", "b")], [{"b": 1}, {"a": 1, "b": 1}]),
        ([_closed(name) for name in "abcdefghijkl"], [{"a": 1}, {"b": 1}, {"c": 1}]),
        ([_requiring(name) for name in "abcdefghijkl"], [{"a": 1}, {"b": 1}, {"c": 1}]),
        (
            [_requiring("a"), _requiring("b"), _requiring("a", "c")],
            [{"a": 1}, {"b": 1}, {"b": 1, "c": 1}],
        ),
        (
            [{"format": "date", "type": ["string", "object"]}, _requiring("a"), {"const": None}],
            [{}, {"b": 1}, {"c": 1}, {"b": 1, "c": 1}],
        ),
    ],
)
def test_branches_are_told_apart_by_names(branches: list[Schema], allowed: list[Any]) -> None:
    schema = {"oneOf": [*branches, {"type": "null"}]}
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    found = [value for value in OBJECTS if allows_text(constraint.copy(), json.dumps(value))]
    plain = [value for value in found if "x" not in value.values()]
    assert plain == allowed


def test_a_name_that_a_branch_does_not_describe_is_absent_rather_than_one_that_it_does() -> None:
    branches = [{"properties": {"b": {}}}, {"required": ["b", "c"]}, {"properties": {"a": {}}}]
    separation = Comparison(Document({"oneOf": branches})).separation
    first, second, third = (("oneOf", index) for index in range(3))
    without_c = {"type": "object", "properties": {"c": False}}
    assert separation.without_name(first, second, may_be_described=False) == without_c
    assert separation.without_name(second, first, may_be_described=True) is None
    assert separation.with_own_name(first, third) is None


def test_a_reference_hides_the_keywords_beside_it_up_to_draft_7() -> None:
    schema: Schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "oneOf": [
            {"properties": {"a": {}}},
            {"$ref": "#/definitions/any", "additionalProperties": False, "required": ["b"]},
        ],
        "definitions": {"any": {"type": "object"}},
    }
    separation = Comparison(Document(schema)).separation
    assert separation.with_own_name(("oneOf", 0), ("oneOf", 1)) is None
    assert separation.without_name(("oneOf", 0), ("oneOf", 1), may_be_described=True) is None
    assert separation.is_object(("oneOf", 1)) and not separation.is_object(("oneOf", 0))

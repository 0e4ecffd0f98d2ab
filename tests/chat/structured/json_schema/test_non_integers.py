"""Numbers that are not integers: every gap between two integers near zero, or within bounds."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.structured.json_schema.document import Document
from friendli_endpoint.chat.structured.json_schema.non_integers import (
    non_integers,
    path_around,
    without_gaps,
)
from tests.chat.structured.json_schema.helpers import Schema
from tests.chat.structured.walks import COMPILER, ENDS, allows_text

NO_INTEGER: Schema = {"not": {"type": "integer"}}
NEAR = ["0.5", "-1.5", "-999.5", "999.5"]
NUMBERS = st.decimals(-1000, 1000, allow_nan=False, places=3).map(lambda value: value.normalize())


def _allowed(schema: Schema, texts: list[str]) -> list[str]:
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    return [text for text in texts if allows_text(constraint.copy(), text)]


@example([Decimal("0.7"), Decimal("0.701")], [Decimal("0.7")])
@given(st.tuples(NUMBERS, NUMBERS).map(sorted), st.lists(NUMBERS, min_size=6, max_size=6))
@settings(max_examples=40)
def test_within_bounds_all_numbers_with_a_fraction_are_allowed(
    bounds: list[Decimal], numbers: list[Decimal]
) -> None:
    low, high = bounds
    number = {"type": "number", "minimum": float(low), "maximum": float(high), **NO_INTEGER}
    values = [value + 0 for value in (low, high, *numbers)]  # without negative zero
    schema = {"anyOf": [number, {"type": "null"}]}
    # Where 0.75 is the maximum, the compiler rejects the minimum `0.7`, but not `0.700`.
    trimmed = _allowed(schema, [f"{value:f}" for value in values])
    padded = _allowed(schema, [f"{value:.3f}" for value in values])
    found = {Decimal(text) for text in (*trimmed, *padded)}
    assert found == {value for value in values if low <= value <= high and value % 1}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "number", **NO_INTEGER}, NEAR),
        ({"type": "number", "minimum": 5000, **NO_INTEGER}, ["5000.5", "6999.5"]),
        ({"minimum": 5000, "allOf": [{"type": "number", **NO_INTEGER}]}, ["5000.5", "6999.5"]),
        ({"type": "number", "maximum": -1.5, **NO_INTEGER}, ["-999.5", "-1.5"]),
        ({"type": "integer", **NO_INTEGER, "anyOf": [{}, {"type": "null"}]}, []),
        ({"not": {"type": ["integer", "string"]}}, [*NEAR, "null"]),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, NEAR),
        (
            {"oneOf": [{"type": "integer", "minimum": 3}, {"type": "number", "maximum": 7}]},
            ["0.5", "-999.5", "-1", "8", "-1.5"],
        ),
    ],
)
def test_a_value_is_allowed_if_it_is_no_integer(schema: Schema, expected: list[str]) -> None:
    texts = ["0.5", "-999.5", "999.5", "5000.5", "6999.5", "5", "-1", "8", "1.0", "-0", "1e0"]
    texts += ["-1.5", "null"]
    if not expected:
        schema = {"anyOf": [schema, {"const": "no"}]}
    assert sorted(_allowed(schema, texts)) == sorted(expected)


def test_else_holds_for_numbers_with_a_fraction() -> None:
    schema = {"type": "number", "if": {"type": "integer"}, "then": {"minimum": 2}}
    schema |= {"else": {"maximum": 1}}
    texts = ["1", "2", "0.5", "1.5", "2.5"]
    assert _allowed(schema, texts) == ["2", "0.5"]


@pytest.mark.parametrize(
    ("path", "around"),
    [
        ((), None),
        (("not",), ()),
        (("a", "allOf", 3), ("a",)),
        (("properties", "not"), None),
        (("properties", "a", "not"), ("properties", "a")),
        (("items",), None),
        (("prefixItems", 0), None),
    ],
)
def test_the_schema_around_is_one_of_the_same_value(path: Any, around: Any) -> None:
    assert path_around(path) == around


def test_a_range_without_integers_inside_has_no_more_than_its_gaps() -> None:
    gap = {"type": "number", "minimum": 3.00000000000001, "exclusiveMaximum": 4}
    assert non_integers(Document({"minimum": 3.2, "exclusiveMaximum": 4}), ()) == {"anyOf": [gap]}
    assert non_integers(Document({"minimum": 4, "maximum": 4}), ()) == {"anyOf": [False]}


GAP = {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 2}


def test_gaps_are_left_out_wherever_they_are_alternatives() -> None:
    wide = {**GAP, "exclusiveMaximum": 3}
    assert without_gaps({"items": {"anyOf": [GAP, wide]}}) == {"items": {"anyOf": [wide]}}
    assert without_gaps({"anyOf": [GAP]}) == {"anyOf": [False]}
    assert without_gaps({"const": {"anyOf": [GAP]}}) == {"const": {"anyOf": [GAP]}}
    assert without_gaps({"properties": {"a": GAP}}) == {"properties": {"a": GAP}}


NO_1_2 = {"enum": [1, 2]}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer", "not": NO_1_2}, ["3"]),
        ({"type": "integer", "oneOf": [{"minimum": 3}, {"type": "number", "minimum": 2}]}, ["2"]),
        ({"anyOf": [{"type": "integer", "minimum": 1.2, "maximum": 1.8}, {"const": 3}]}, ["3"]),
        ({"type": "integer", "enum": [1.5, 3]}, ["3"]),
        ({"type": "integer", "minimum": 1.2, "exclusiveMaximum": 2.5}, ["2"]),
        ({"type": "integer", "exclusiveMinimum": 1, "maximum": 3.5}, ["2", "3"]),
    ],
)
def test_ranges_without_integers_are_left_out_of_integers(
    schema: Schema, expected: list[str]
) -> None:
    assert _allowed(schema, ["1", "1.5", "2", "2.5", "3"]) == expected


def test_a_gap_is_left_out_where_only_the_compiler_finds_the_type() -> None:
    inner = {"properties": {"a": NO_1_2}}
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "not": inner}
    assert _allowed(schema, ['{"a":1}', '{"a":3}']) == ['{"a":3}']

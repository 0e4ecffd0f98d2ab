"""Bounds of numbers are enforced in the range where floats are exact."""

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.structured.json_schema.numbers import is_read_exactly
from tests.chat.structured.json_schema.helpers import Schema, error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "integer", "minimum": 2**53 - 1, "maximum": 2**53}, "9007199254740993"),
        ({"type": "number", "minimum": 3, "exclusiveMinimum": True}, "3"),
    ],
)
def test_values_that_violate_the_schema_are_not_allowed(schema: Schema, text: str) -> None:
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"), [({"type": "integer", "minimum": 2**53 + 1}, "s.minimum")]
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param


IS_WITHIN = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
}
DECIMALS = st.one_of(
    st.integers(-12, 12).map(Decimal),
    st.decimals(-12, 12, allow_nan=False, places=3).map(lambda value: value.normalize()),
)


@given(
    st.lists(st.tuples(st.sampled_from(sorted(IS_WITHIN)), DECIMALS), min_size=1, max_size=3),
    st.sampled_from(["number", "integer"]),
    st.lists(DECIMALS, min_size=6, max_size=6),
)
@settings(max_examples=150)
def test_exactly_the_numbers_within_all_bounds_are_allowed(
    bounds: list[tuple[str, Decimal]], kind: str, numbers: list[Decimal]
) -> None:
    branches = [{"type": kind, keyword: float(bound)} for keyword, bound in bounds]
    schema = {"anyOf": [{"allOf": branches}, {"type": "null"}]}
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    for number in [*numbers, *(bound for _, bound in bounds)]:
        value = number + 0
        is_valid = all(IS_WITHIN[keyword](value, bound) for keyword, bound in bounds)
        is_valid = is_valid and (kind == "number" or value == int(value))
        assert allows_text(constraint.copy(), f"{value:f}") == is_valid
        if not is_valid:
            assert not allows_text(constraint.copy(), f"{value:.4f}")


@pytest.mark.parametrize(
    ("schema", "text", "is_allowed"),
    [
        ({"exclusiveMinimum": 0, "maximum": 0.5}, "0", False),
        ({"exclusiveMinimum": 0, "maximum": 0.5}, "0.0", False),
        ({"exclusiveMinimum": 0, "maximum": 0.5}, "0.000001", True),
        ({"minimum": -0.5, "exclusiveMaximum": 0}, "-0", False),
        ({"allOf": [{"exclusiveMinimum": 7}, {"maximum": 7.5}]}, "7", False),
        ({"maximum": 7.5, "not": {"maximum": 7}}, "7", False),
        ({"maximum": 7.5, "not": {"enum": [7]}}, "7", False),
        ({"exclusiveMinimum": 2**53}, str(2**53), False),
    ],
)
def test_an_exclusive_bound_is_not_within_the_range(
    schema: Schema, text: str, is_allowed: bool
) -> None:
    schema = {"type": "number", **schema}
    assert allows_text(COMPILER.json_schema(schema, ENDS, "s"), text) == is_allowed


@given(st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-15))
@settings(max_examples=60)
def test_no_float_beyond_a_bound_is_allowed(bound: float) -> None:
    for keyword, direction in (("minimum", -math.inf), ("maximum", math.inf)):
        schema = {"type": "number", keyword: bound}
        constraint = COMPILER.json_schema(schema, ENDS, "s")
        beyond = math.nextafter(bound, direction)
        assert not allows_text(constraint, f"{Decimal(repr(beyond)):f}")


@pytest.mark.parametrize(
    ("value", "is_exact"),
    [(99.00000000000001, False), (3.141592653589793, True), (0.1, True), (1e-22, True)],
)
def test_the_compiler_reads_numbers_of_few_digits_exactly(value: float, is_exact: bool) -> None:
    assert is_read_exactly(value) == is_exact
    if is_exact:
        constraint = COMPILER.json_schema({"const": value}, ENDS, "s")
        assert allows_text(constraint, f"{Decimal(repr(value)):f}")
    else:
        assert "inexactly" in error_of({"const": value}).message

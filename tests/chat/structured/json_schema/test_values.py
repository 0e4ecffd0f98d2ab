"""Complements of lists of values: each value is either listed or allowed, never both."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from friendli_endpoint.chat.structured.json_schema.keywords import TYPES
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError
from friendli_endpoint.chat.structured.json_schema.values import values_except
from tests.chat.structured.json_schema.helpers import error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([-1.5, 0.0, 1.0, 2.5])
    | st.text(alphabet='ab"\\\n-]', max_size=3)
)
KINDS = st.lists(st.sampled_from(TYPES), min_size=1, unique=True).map(tuple)


def translated(schema: Any) -> Any:
    """Translates a pattern in the compiler's syntax for the jsonschema package."""
    if "pattern" not in schema:
        return schema
    pattern = re.sub(
        r"\\x\{([0-9a-f]+)\}", lambda found: f"\\U{int(found[1], 16):08x}", schema["pattern"]
    )
    assert pattern[0] + pattern[-1] == "^$"
    return {**schema, "pattern": rf"\A{pattern[1:-1]}\Z"}


def same(value: Any, listed: Any) -> bool:
    """Whether two values are equal in JSON: 1 equals 1.0 and does not equal true."""
    return value == listed and isinstance(value, bool) == isinstance(listed, bool)


@given(st.lists(SCALARS, max_size=5), KINDS, st.lists(SCALARS, min_size=5, max_size=5))
def test_every_value_is_either_listed_or_allowed(
    listed: list[Any], types: tuple[str, ...], values: list[Any]
) -> None:
    others = {"anyOf": [*map(translated, values_except(listed, types, ())), False]}
    for value in [*values, *listed]:
        is_other = Draft202012Validator({"type": list(types)}).is_valid(value) and not any(
            same(value, excluded) for excluded in listed
        )
        assert Draft202012Validator(others).is_valid(value) == is_other


def test_all_lists_and_objects_are_allowed() -> None:
    assert values_except([1], ("array", "object"), ()) == [{"type": "array"}, {"type": "object"}]


@pytest.mark.parametrize("value", [[], {}, [1], {"a": 1}])
def test_lists_and_objects_cannot_be_excluded(value: Any) -> None:
    with pytest.raises(SchemaError, match="lists or objects") as caught:
        values_except(["a", value], TYPES, ("not", "enum"))
    assert caught.value.path == ("not", "enum")


def test_the_total_length_of_strings_is_limited() -> None:
    texts = ["a" * 1_000, "b" * 1_000]
    assert len(values_except(texts, ("string",), ())) == 1
    with pytest.raises(SchemaError, match="more than 2,000 characters"):
        values_except([*texts, "c"], ("string",), ())
    assert values_except([*texts, "c"], ("null",), ()) == [{"type": "null"}], "of strings only"


def test_a_long_text_is_excluded_with_a_small_pattern() -> None:
    counted: list[int] = []
    (schema,) = values_except(["x" * 1400], ("string",), (), counted.append)
    assert len(schema["pattern"]) < 100_000, "a pattern with all prefixes has 2,000,000 characters"
    assert counted == [24_502]
    constraint = COMPILER.json_schema({"not": {"enum": ["x" * 1400]}, "type": "string"}, ENDS, "s")
    assert allows_text(constraint.copy(), f'"{"x" * 1399}"')
    assert allows_text(constraint.copy(), f'"{"x" * 1401}"')
    assert allows_text(constraint.copy(), f'"{"x" * 1000}y"')
    assert not allows_text(constraint, f'"{"x" * 1400}"')


def test_all_excluded_texts_of_a_schema_are_limited_together() -> None:
    many = [{"not": {"const": character * 1400}} for character in "ab"]
    error = error_of({"type": "object", "properties": dict(zip("ab", many, strict=True))})
    assert error.param == "s.properties.b.not.const"
    assert "more than 30,000 characters" in error.message


def test_the_count_and_magnitude_of_numbers_are_limited() -> None:
    assert len(values_except(list(range(50)), ("number",), ())) == 51
    assert len(values_except(list(range(50)), ("integer",), ())) == 2
    for listed in (list(range(51)), [2**53], [-(2.0**53)], [1, 10**400]):
        with pytest.raises(SchemaError, match=r"beyond 2\^53, or more than 50"):
            values_except(listed, ("number",), ())
        assert values_except(listed, ("string",), ()) == [{"type": "string"}]


def test_a_repeated_number_creates_no_gap() -> None:
    assert values_except([1, 1.0], ("number", "integer"), ()) == [
        {"type": "number", "exclusiveMaximum": 1},
        {"type": "number", "minimum": 1.00000000000001},
    ]


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [('"a"', False), ('"b\\n"', False), ('"b"', True), ('""', True), ('"ab"', True), ("1", False)],
)
def test_excluded_values_are_not_allowed_in_outputs(text: str, is_allowed: bool) -> None:
    schema = {"type": ["string", "integer"], "not": {"enum": ["a", "b\n", 1]}}
    assert allows_text(COMPILER.json_schema(schema, ENDS, "s"), text) == is_allowed

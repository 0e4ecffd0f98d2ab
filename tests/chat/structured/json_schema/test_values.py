"""All values but some: each value is listed or has a schema of its own, and none has both."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from friendli_endpoint.chat.structured.json_schema.keywords import TYPES
from friendli_endpoint.chat.structured.json_schema.place import SchemaFault
from friendli_endpoint.chat.structured.json_schema.values import other_values
from tests.chat.structured.walking import COMPILER, ENDS, follows

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([-1.5, 0.0, 1.0, 2.5])
    | st.text(alphabet='ab"\\\n-]', max_size=3)
)
KINDS = st.lists(st.sampled_from(TYPES), min_size=1, unique=True).map(tuple)


def readable(schema: Any) -> Any:
    """A schema whose pattern another validator reads; it is written for the compiler."""
    if "pattern" not in schema:
        return schema
    pattern = re.sub(
        r"\\x\{([0-9a-f]+)\}", lambda found: f"\\U{int(found[1], 16):08x}", schema["pattern"]
    )
    assert pattern[0] + pattern[-1] == "^$"
    return {**schema, "pattern": rf"\A{pattern[1:-1]}\Z"}


def same(value: Any, listed: Any) -> bool:
    """Whether two are the same in JSON, where 1 and 1.0 are, and 1 and true are not."""
    return value == listed and isinstance(value, bool) == isinstance(listed, bool)


@given(st.lists(SCALARS, max_size=5), KINDS, st.lists(SCALARS, min_size=5, max_size=5))
def test_a_value_of_the_types_is_listed_or_has_a_schema(
    listed: list[Any], types: tuple[str, ...], values: list[Any]
) -> None:
    others = {"anyOf": [*map(readable, other_values(listed, types, ())), False]}
    for value in [*values, *listed]:
        is_other = Draft202012Validator({"type": list(types)}).is_valid(value) and not any(
            same(value, excluded) for excluded in listed
        )
        assert Draft202012Validator(others).is_valid(value) == is_other


def test_lists_and_objects_are_all_other_values() -> None:
    assert other_values([1], ("array", "object"), ()) == [{"type": "array"}, {"type": "object"}]


@pytest.mark.parametrize("value", [[], {}, [1], {"a": 1}])
def test_a_list_or_object_among_the_values_has_no_words(value: Any) -> None:
    with pytest.raises(SchemaFault, match="lists or objects") as caught:
        other_values(["a", value], TYPES, ("not", "enum"))
    assert caught.value.place == ("not", "enum")


def test_the_texts_are_bounded_in_length_together() -> None:
    most = ["a" * 1_000, "b" * 1_000]
    assert len(other_values(most, ("string",), ())) == 1
    with pytest.raises(SchemaFault, match="more than 2,000 characters"):
        other_values([*most, "c"], ("string",), ())
    assert other_values([*most, "c"], ("null",), ()) == [{"type": "null"}], "of strings only"


def test_the_numbers_are_bounded_in_number_and_size() -> None:
    assert len(other_values(list(range(50)), ("integer",), ())) == 51
    for listed in (list(range(51)), [2**53], [-(2.0**53)], [1, 10**400]):
        with pytest.raises(SchemaFault, match=r"beyond 2\^53, or more than 50"):
            other_values(listed, ("number",), ())
        assert other_values(listed, ("string",), ()) == [{"type": "string"}]


def test_a_number_that_is_listed_twice_has_no_gap() -> None:
    assert other_values([1, 1.0], ("number", "integer"), ()) == [
        {"type": "number", "exclusiveMaximum": 1},
        {"type": "number", "exclusiveMinimum": 1},
    ]


@pytest.mark.parametrize(
    ("text", "taken"),
    [('"a"', False), ('"b\\n"', False), ('"b"', True), ('""', True), ('"ab"', True), ("1", False)],
)
def test_what_is_excluded_cannot_be_written(text: str, taken: bool) -> None:
    schema = {"type": ["string", "integer"], "not": {"enum": ["a", "b\n", 1]}}
    assert follows(COMPILER.json_schema(schema, ENDS, "s"), text) == taken

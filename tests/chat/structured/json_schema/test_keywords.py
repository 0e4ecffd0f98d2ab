"""The tables of keywords: which values each may have, and which ask for nothing."""

from typing import Any

import pytest

from friendli_endpoint.chat.structured.json_schema.keywords import (
    ALL_TYPES,
    APPLIES_TO,
    ASSERTIONS,
    TYPES,
    UNSUPPORTED,
    VALUES,
    types_of,
)


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        ({"type": "string"}, ("string",)),
        ({"type": ["null", "string", "null"]}, ("null", "string")),
        ({}, TYPES),
    ],
)
def test_a_schema_has_the_types_that_it_names_or_all(
    schema: dict[str, Any], types: tuple[str, ...]
) -> None:
    assert types_of(schema) == types


HUGE, INFINITY, NAN = 10**400, float("inf"), float("nan")


@pytest.mark.parametrize(
    ("keyword", "good", "bad"),
    [
        ("minLength", [0, 3, 3.0, HUGE], [-1, 1.5, True, None, "3", INFINITY, NAN]),
        ("minimum", [0, -1.5, HUGE], [True, "0", None, INFINITY, NAN]),
        ("exclusiveMinimum", [0, -1.5, True, False], ["0", None, NAN]),
        ("multipleOf", [1, 0.01], [0, -1, True, "1", NAN]),
        ("not", [{}, True, False], [None, [], 1, "a"]),
        ("allOf", [[{}], [True, {}]], [[], {}, [{}, 1], None]),
        ("items", [{}, False, [], [{}]], [None, 1, [1], [{}, None]]),
        ("properties", [{}, {"a": {}, "b": True}], [[], {"a": 1}, {"a": {}, "b": None}]),
        ("required", [[], ["a", "a"]], ["a", [1], None, {"a": 1}]),
        ("enum", [[None], [1, "a"]], [[], "a", {}]),
        ("type", ["null", ["string"], list(TYPES)], ["any", [], ["any"], [1], None, {}]),
        ("pattern", ["", "("], [None, 1, ["a"]]),
        ("uniqueItems", [True, False], [0, 1, None, "true"]),
        ("$defs", [{}, {"a": 1}], [[], None]),
    ],
)
def test_a_keyword_has_values_of_one_kind(keyword: str, good: list[Any], bad: list[Any]) -> None:
    is_good, _words = VALUES[keyword]
    assert [value for value in good if not is_good(value)] == []
    assert [value for value in bad if is_good(value)] == []


def test_only_unique_items_can_be_asked_for_in_vain() -> None:
    for keyword, (asks_nothing, reason) in UNSUPPORTED.items():
        assert reason
        assert not asks_nothing(True) and not asks_nothing({})
        assert asks_nothing(False) == (keyword == "uniqueItems")


def test_a_keyword_constrains_known_types_and_is_an_assertion_whose_values_are_known() -> None:
    for keyword, types in APPLIES_TO.items():
        assert types and types <= ALL_TYPES
        assert keyword in ASSERTIONS and keyword in VALUES
    numeric = {"number", "integer"}
    assert all(not numeric & types or numeric <= types for types in APPLIES_TO.values())


def test_names_and_notes_assert_nothing() -> None:
    assert ASSERTIONS.isdisjoint({"$id", "$anchor", "$defs", "definitions", "$schema", "title"})
    assert {"const", "$ref", "format"} <= ASSERTIONS

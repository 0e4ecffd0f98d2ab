"""Tables of keywords: valid values, and values without effect."""

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
def test_a_schema_without_a_type_has_all_types(
    schema: dict[str, Any], types: tuple[str, ...]
) -> None:
    assert types_of(schema) == types


HUGE, INFINITY, NAN = 10**400, float("inf"), float("nan")


@pytest.mark.parametrize(
    ("keyword", "valid", "invalid"),
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
def test_values_of_keywords_are_checked(keyword: str, valid: list[Any], invalid: list[Any]) -> None:
    is_valid, _description = VALUES[keyword]
    assert [value for value in valid if not is_valid(value)] == []
    assert [value for value in invalid if is_valid(value)] == []


def test_unsupported_keywords_are_rejected_with_any_value_and_for_a_reason() -> None:
    for is_neutral, reason in UNSUPPORTED.values():
        assert reason
        assert not any(map(is_neutral, (True, False, {})))


def test_keywords_with_types_are_assertions_with_known_values() -> None:
    for keyword, types in APPLIES_TO.items():
        assert types and types <= ALL_TYPES
        assert keyword in ASSERTIONS and keyword in VALUES
    numeric = {"number", "integer"}
    assert all(not numeric & types or numeric <= types for types in APPLIES_TO.values())


def test_identifiers_and_annotations_are_not_assertions() -> None:
    assert ASSERTIONS.isdisjoint({"$id", "$anchor", "$defs", "definitions", "$schema", "title"})
    assert {"const", "$ref", "format"} <= ASSERTIONS

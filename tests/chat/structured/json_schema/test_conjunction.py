"""Limit on the number of patterns that one string must match."""

from typing import Any

import pytest

from friendli_endpoint.chat.structured.json_schema import conjunction
from friendli_endpoint.chat.structured.json_schema.conjunction import check_conjunctions
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, definition_pointer
from tests.chat.structured.json_schema.helpers import Schema, error_of

MAX_PATTERNS = 12


def patterns(count: int) -> list[Schema]:
    return [{"pattern": f"a{number}"} for number in range(count)]


def chain(count: int) -> dict[str, Schema]:
    """Returns definitions, each of which has a pattern and refers to the next one."""
    links = {
        f"d{n}": {"pattern": f"a{n}", "$ref": definition_pointer(f"d{n + 1}")} for n in range(count)
    }
    return {**links, f"d{count}": {"type": "string"}}


def nested(depth: int) -> Schema:
    schema: Schema = {"type": "string"}
    for number in range(depth):
        schema = {"pattern": f"a{number}", "anyOf": [schema, {"type": "null"}]}
    return schema


def in_a_property(schemas: list[Schema]) -> list[Schema]:
    return [{"properties": {"a": schema}} for schema in schemas]


FORMS: dict[str, Any] = {
    "all of": lambda count: {"allOf": patterns(count)},
    "beside all of": lambda count: {"pattern": "b", "allOf": patterns(count - 1)},
    "nested all of": lambda count: {"allOf": [{"allOf": patterns(count - 1)}, {"pattern": "b"}]},
    "nested alternatives": nested,
    "alternatives in all of": lambda count: {
        "allOf": [{"anyOf": [{"type": "null"}, schema]} for schema in patterns(count)]
    },
    "a property": lambda count: {"allOf": in_a_property(patterns(count))},
    "items": lambda count: {"allOf": [{"items": schema} for schema in patterns(count)]},
    "a property of items": lambda count: {
        "allOf": [{"items": schema} for schema in in_a_property(patterns(count))]
    },
    "a property in alternatives": lambda count: {
        "allOf": [{"anyOf": [schema]} for schema in in_a_property(patterns(count))]
    },
    "deep inside": lambda count: {"properties": {"a": {"items": {"allOf": patterns(count)}}}},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_string_may_have_to_match_at_most_twelve_patterns(form: str) -> None:
    check_conjunctions(FORMS[form](MAX_PATTERNS), {})
    with pytest.raises(SchemaError, match="match more than 12 patterns at once") as caught:
        check_conjunctions(FORMS[form](MAX_PATTERNS + 1), {})
    assert caught.value.path == () and not caught.value.invalid


def test_references_are_followed() -> None:
    root = {"$ref": definition_pointer("d0")}
    check_conjunctions(root, chain(MAX_PATTERNS))
    with pytest.raises(SchemaError):
        check_conjunctions(root, chain(MAX_PATTERNS + 1))


def test_definitions_are_checked_even_if_the_root_does_not_combine_them() -> None:
    with pytest.raises(SchemaError):
        check_conjunctions({"type": "null"}, {"A": {"allOf": patterns(MAX_PATTERNS + 1)}})


def test_a_format_counts_as_a_pattern() -> None:
    both = [{**schema, "format": "date"} for schema in patterns(6)]
    check_conjunctions({"allOf": both}, {})
    with pytest.raises(SchemaError):
        check_conjunctions({"allOf": [*both, {"format": "date"}]}, {})


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": patterns(100)},
        {"properties": {f"p{n}": schema for n, schema in enumerate(patterns(100))}},
        {"allOf": [{"properties": {f"p{n}": {"pattern": "a"}}} for n in range(100)]},
        {"allOf": [{"prefixItems": [{}] * n + [{"pattern": "a"}]} for n in range(50)]},
        {"allOf": [{}] * 100},
    ],
)
def test_patterns_of_different_strings_do_not_add_up(schema: Schema) -> None:
    check_conjunctions(schema, {})


def test_alternatives_count_at_their_maximum() -> None:
    larger = {"anyOf": [{"allOf": patterns(5)}, {"pattern": "b"}, True]}
    check_conjunctions({"allOf": [larger, *patterns(7)]}, {})
    with pytest.raises(SchemaError):
        check_conjunctions({"allOf": [larger, *patterns(8)]}, {})


def test_properties_in_alternatives_count_at_their_maximum() -> None:
    either = {"anyOf": in_a_property(patterns(2))}
    others = in_a_property([{"minLength": 1}] * MAX_PATTERNS)
    check_conjunctions({"allOf": [*others, *[either] * MAX_PATTERNS]}, {})
    with pytest.raises(SchemaError):
        check_conjunctions({"allOf": [*others, *[either] * (MAX_PATTERNS + 1)]}, {})


def test_recursive_references_terminate() -> None:
    again = {"$ref": definition_pointer("A")}
    list_of_itself = {"pattern": "a", "items": again, "allOf": [again]}
    check_conjunctions(again, {"A": list_of_itself})


def test_schemas_that_combine_too_many_others_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conjunction, "_MAX_VISITS", 1_000)
    doubled = {
        f"d{n}": {"allOf": [{"$ref": definition_pointer(f"d{n + 1}")}] * 2} for n in range(10)
    }
    with pytest.raises(SchemaError, match="combines too many schemas"):
        check_conjunctions({"$ref": definition_pointer("d0")}, {**doubled, "d10": {}})


def test_the_error_is_at_the_root_of_the_schema() -> None:
    error = error_of({"type": "string", "allOf": patterns(MAX_PATTERNS + 1)})
    assert (error.code, error.param) == ("unsupported_schema", "s")
    assert "more than 12 patterns" in error.message

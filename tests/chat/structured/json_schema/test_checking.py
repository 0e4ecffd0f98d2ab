"""Keywords with invalid values, or that cannot be enforced, are rejected."""

import pytest

from friendli_endpoint.chat.structured.json_schema.keywords import MAX_COUNTS, VALUES
from tests.chat.structured.json_schema.helpers import Schema, error_of
from tests.chat.structured.schemas import D4, SCHEMAS
from tests.chat.structured.walks import COMPILER, ENDS, allows_text


@pytest.mark.parametrize(("schema", "text"), [({"type": "object", "nullable": True}, "null")])
def test_values_that_violate_the_schema_are_not_allowed(schema: Schema, text: str) -> None:
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"extends": {}}, "s.extends"),
        ({"$dynamicRef": "#x"}, "s.$dynamicRef"),
        ({"items": {"$id": "x", "$recursiveRef": "#"}}, "s.items.$recursiveRef"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"type": "objekt"}, "s.type"),
        ({"type": []}, "s.type"),
        ({"type": {"a": 1}}, "s.type"),
        ({"properties": []}, "s.properties"),
        ({"properties": {"a": 3}}, "s.properties"),
        ({"items": 3}, "s.items"),
        ({"required": True}, "s.required"),
        ({"properties": {"required": {"required": "a"}}}, "s.properties.required.required"),
        ({"enum": []}, "s.enum"),
        ({"enum": "a"}, "s.enum"),
        ({"anyOf": []}, "s.anyOf"),
        ({"allOf": {}}, "s.allOf"),
        ({"minLength": -1}, "s.minLength"),
        ({"minLength": 1.5}, "s.minLength"),
        ({"maxItems": "3"}, "s.maxItems"),
        ({"minimum": "3"}, "s.minimum"),
        ({"minimum": True}, "s.minimum"),
        ({"minimum": float("nan")}, "s.minimum"),
        ({"multipleOf": 0}, "s.multipleOf"),
        ({"pattern": 3}, "s.pattern"),
        ({"$ref": 3}, "s.$ref"),
        ({"maxLength": None}, "s.maxLength"),
        ({"$schema": SCHEMAS["zod"]["$schema"], "exclusiveMinimum": True}, "s.exclusiveMinimum"),
        ({"$schema": D4, "minimum": 1, "exclusiveMinimum": 0}, "s.exclusiveMinimum"),
        ({"anyOf": [{"$ref": "#/x"}], "x": []}, "s.x"),
        ({"not": {"$ref": "#/x"}, "x": []}, "s.x"),
        ({"if": {"$ref": "#/x"}, "then": False, "x": "a"}, "s.x"),
    ],
)
def test_invalid_schemas_are_rejected_with_the_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert (error.code, error.param) == ("invalid_schema", param)


def entries(keyword: str, count: int) -> Schema:
    """Returns a schema whose keyword has this number of entries."""
    if keyword in ("$defs", "definitions", "properties", "dependentSchemas"):
        return {keyword: {f"n{number}": {} for number in range(count)}}
    if keyword in ("dependencies", "dependentRequired"):
        return {keyword: {f"n{number}": [] for number in range(count)}}
    if keyword == "patternProperties":
        return {keyword: {f"^n{number}$": {} for number in range(count)}}
    if keyword in ("enum", "required"):
        return {keyword: [f"n{number}" for number in range(count)]}
    if keyword in ("oneOf", "anyOf"):
        return {keyword: [{"const": number} for number in range(count)]}
    return {keyword: [{}] * count}


COUNTED = {**MAX_COUNTS, "properties": 2_000, "required": 2_000, "patternProperties": 100}


@pytest.mark.parametrize(("keyword", "max_count"), COUNTED.items())
def test_a_keyword_with_too_many_entries_is_rejected_with_its_path(
    keyword: str, max_count: int
) -> None:
    schema = {"properties": {"a": entries(keyword, max_count + 1)}}
    error = error_of(schema)
    assert error.param == f"s.properties.a.{keyword}"
    assert f"more than {max_count:,}" in error.message


def test_every_keyword_that_takes_a_list_or_an_object_has_a_limit() -> None:
    samples: list[object] = [[{}], ["a"], {"a": {}}, {"a": []}]
    taken = {
        keyword
        for keyword, (is_valid, _) in VALUES.items()
        if any(is_valid(sample) for sample in samples)
    }
    single = {keyword for keyword in taken if VALUES[keyword][0](True)}
    assert taken - single - {"type", "items"} == COUNTED.keys() - {"items"}


def test_large_unions_as_published_schemas_have_them_are_compiled() -> None:
    branches = [
        {"properties": {"resourceType": {"const": f"R{n}"}}, "required": ["resourceType"]}
        for n in range(300)
    ]
    for keyword in ("oneOf", "anyOf"):
        constraint = COMPILER.json_schema({"type": "object", keyword: branches}, ENDS, "s")
        assert allows_text(constraint, '{"resourceType": "R299"}')

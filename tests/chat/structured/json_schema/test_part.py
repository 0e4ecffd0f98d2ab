"""A part of a schema collects what it becomes, and knows its place."""

from typing import Any

import pytest

from friendli_endpoint.chat.structured.json_schema.document import Document
from friendli_endpoint.chat.structured.json_schema.keywords import TYPES
from friendli_endpoint.chat.structured.json_schema.part import Part
from friendli_endpoint.chat.structured.json_schema.place import Place, SchemaFault
from friendli_endpoint.chat.structured.json_schema.rewriting import Rewriting
from tests.chat.structured.json_schema.helpers import Schema, refusal_of


def part_of(root: Schema, *place: str | int) -> Part:
    """The part of a document at a place."""
    schema: Any = root
    for step in place:
        schema = schema[step]
    return Part(Rewriting(Document(root)), schema, place, TYPES)


def test_places_inside_a_part_begin_with_its_own() -> None:
    part = part_of({"properties": {"a": {}}}, "properties", "a")
    assert part.at() == ("properties", "a")
    assert part.at("allOf", 0, "not") == ("properties", "a", "allOf", 0, "not")


def test_schemas_that_must_hold_as_well_are_added_to_those_before() -> None:
    part = part_of({})
    part.also({"type": "null"})
    part.also(False, {"minLength": 1})
    assert part.out == {"allOf": [{"type": "null"}, False, {"minLength": 1}]}


def test_a_second_choice_of_alternatives_must_hold_as_well() -> None:
    part = part_of({})
    first, second, third = [{"const": 1}], [{"const": 2}], [{"const": 3}]
    part.either(first)
    assert part.out == {"anyOf": first}
    part.either(second)
    part.either(third)
    assert part.out == {"anyOf": first, "allOf": [{"anyOf": second}, {"anyOf": third}]}


def test_parts_do_not_share_what_they_become() -> None:
    root: Schema = {"items": {}}
    first, second = part_of(root), part_of(root, "items")
    first.also(True)
    assert second.out == {}


@pytest.mark.parametrize(("value", "count"), [(3, 3), (3.0, 3), (0, 0)])
def test_a_count_is_whole_however_it_is_written(value: float, count: int) -> None:
    found = part_of({"minItems": value}).count("minItems", 7)
    assert (found, type(found)) == (count, int)
    assert part_of({}).count("minItems", 7) == 7


def test_a_schema_inside_is_rewritten_with_its_place() -> None:
    part = part_of({"items": {"not": {"contains": {}, "minContains": 2}}}, "items")
    with pytest.raises(SchemaFault) as caught:
        part.rewritten(part.schema["not"], "not")
    assert caught.value.place[:2] == ("items", "not")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("#/$defs/A", ("$defs", "A")),
        ("#/properties/x/items", ("properties", "x", "items")),
        ("#", ()),
        ("#here", ("$defs", "A")),
    ],
)
def test_a_reference_leads_to_a_place_in_the_document(name: str, place: Place) -> None:
    root = {
        "properties": {"x": {"items": {"$ref": name}}},
        "$defs": {"A": {"$anchor": "here"}},
    }
    assert part_of(root, "properties", "x", "items").target_of(name) == place


@pytest.mark.parametrize("name", ["#/$defs/no", "#no", "other.json", "https://example.com/x#/a"])
def test_a_reference_to_nothing_is_a_fault_of_its_keyword(name: str) -> None:
    part = part_of({"items": {"$ref": name}}, "items")
    with pytest.raises(SchemaFault, match="nothing by the name") as caught:
        part.target_of(name)
    assert caught.value.place == ("items", "$ref") and not caught.value.invalid
    assert repr(name) in caught.value.reason


def test_the_client_is_told_the_place_of_a_reference_to_nothing() -> None:
    assert refusal_of({"not": {"$ref": "#/a"}}).param == "s.not.$ref"

"""The schemas of each value, as far as `uniqueItems` is concerned."""

import json
from typing import Any

from friendli_endpoint.chat.structured.unique_arrays import UniqueArrays

UNIQUE = {"type": "array", "uniqueItems": True}


def _arrays(root: dict[str, Any]) -> UniqueArrays:
    _, arrays = UniqueArrays.of_text(json.dumps(root))
    assert arrays is not None
    return arrays


def test_the_compiler_gets_a_schema_without_the_keyword() -> None:
    root = {"anyOf": [UNIQUE], "properties": {"uniqueItems": UNIQUE}, "$defs": {"a": UNIQUE}}
    text, _ = UniqueArrays.of_text(json.dumps(root))
    plain = {"type": "array"}
    assert json.loads(text) == {
        "anyOf": [plain],
        "properties": {"uniqueItems": plain},
        "$defs": {"a": plain},
    }


def test_a_property_or_constant_of_that_name_is_none() -> None:
    text = json.dumps({"properties": {"uniqueItems": {"const": {"uniqueItems": True}}}})
    assert UniqueArrays.of_text(text) == (text, None)


def test_alternatives_count_and_references_are_followed() -> None:
    arrays = _arrays({"anyOf": [{"type": "null"}, {"$ref": "#/$defs/a"}], "$defs": {"a": UNIQUE}})
    assert arrays.is_unique(arrays.start)


def test_items_are_found_by_their_index() -> None:
    arrays = _arrays({"prefixItems": [{}, UNIQUE], "items": {"items": UNIQUE}})
    unique = [arrays.is_unique(arrays.of_item(arrays.start, index)) for index in range(4)]
    assert unique == [False, True, False, False]
    assert arrays.is_unique(arrays.of_item(arrays.of_item(arrays.start, 3), 0))


def test_properties_are_found_by_their_name() -> None:
    arrays = _arrays({"properties": {"a": UNIQUE, "b": {}}, "additionalProperties": UNIQUE})
    unique = [arrays.is_unique(arrays.of_property(arrays.start, name)) for name in "abc"]
    assert unique == [True, False, True]


def test_a_recursive_schema_is_walked_without_end() -> None:
    arrays = _arrays({**UNIQUE, "items": {"$ref": "#"}})
    schemas = arrays.start
    for _ in range(100):
        assert arrays.is_unique(schemas)
        schemas = arrays.of_item(schemas, 0)

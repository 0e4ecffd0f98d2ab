"""Subschemas while they are rewritten: paths, output, and references."""

from typing import Any

import pytest

from friendli_endpoint.chat.structured.json_schema.document import Document
from friendli_endpoint.chat.structured.json_schema.keywords import TYPES
from friendli_endpoint.chat.structured.json_schema.node import SchemaNode
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, SchemaPath
from friendli_endpoint.chat.structured.json_schema.rewriter import Rewriter
from tests.chat.structured.json_schema.helpers import Schema, error_of


def node_of(root: Schema, *path: str | int) -> SchemaNode:
    """Returns the node at a path of a document."""
    schema: Any = root
    for key in path:
        schema = schema[key]
    return SchemaNode(Rewriter(Document(root)), schema, path, TYPES)


def test_paths_inside_a_node_begin_with_its_path() -> None:
    node = node_of({"properties": {"a": {}}}, "properties", "a")
    assert node.at() == ("properties", "a")
    assert node.at("allOf", 0, "not") == ("properties", "a", "allOf", 0, "not")


def test_add_all_of_appends_to_all_of() -> None:
    node = node_of({})
    node.add_all_of({"type": "null"})
    node.add_all_of(False, {"minLength": 1})
    assert node.out == {"allOf": [{"type": "null"}, False, {"minLength": 1}]}


def test_further_alternatives_are_added_to_all_of() -> None:
    node = node_of({})
    first, second, third = [{"const": 1}], [{"const": 2}], [{"const": 3}]
    node.add_any_of(first)
    assert node.out == {"anyOf": first}
    node.add_any_of(second)
    node.add_any_of(third)
    assert node.out == {"anyOf": first, "allOf": [{"anyOf": second}, {"anyOf": third}]}


def test_nodes_do_not_share_their_output() -> None:
    root: Schema = {"items": {}}
    first, second = node_of(root), node_of(root, "items")
    first.add_all_of(True)
    assert second.out == {}


@pytest.mark.parametrize(("value", "count"), [(3, 3), (3.0, 3), (0, 0)])
def test_a_count_is_an_integer_even_if_written_as_a_float(value: float, count: int) -> None:
    found = node_of({"minItems": value}).count("minItems", 7)
    assert (found, type(found)) == (count, int)
    assert node_of({}).count("minItems", 7) == 7


@pytest.mark.parametrize(
    ("types", "others"),
    [
        (("array",), []),
        (("array", "null"), [{"type": ["null"]}]),
        (TYPES, [{"type": ["null", "boolean", "number", "string", "object"]}]),
    ],
)
def test_values_of_other_types_satisfy_the_alternatives_of_one_type(
    types: tuple[str, ...], others: list[Schema]
) -> None:
    node = SchemaNode(Rewriter(Document({})), {}, (), types)
    node.add_any_of_type("array", [{"minItems": 2}])
    assert node.out == {"anyOf": [{"type": "array", "minItems": 2}, *others]}


def test_errors_of_inner_schemas_have_their_full_path() -> None:
    node = node_of({"items": {"not": {"extends": {}}}}, "items")
    with pytest.raises(SchemaError) as caught:
        node.rewrite(node.schema["not"], "not")
    assert caught.value.path[:2] == ("items", "not")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("#/$defs/A", ("$defs", "A")),
        ("#/properties/x/items", ("properties", "x", "items")),
        ("#", ()),
        ("#here", ("$defs", "A")),
    ],
)
def test_references_resolve_to_paths_in_the_document(name: str, path: SchemaPath) -> None:
    root = {
        "properties": {"x": {"items": {"$ref": name}}},
        "$defs": {"A": {"$anchor": "here"}},
    }
    assert node_of(root, "properties", "x", "items").target_of(name) == path


@pytest.mark.parametrize("name", ["#/$defs/no", "#no", "other.json", "https://example.com/x#/a"])
def test_an_unresolved_reference_is_an_error_at_its_keyword(name: str) -> None:
    node = node_of({"items": {"$ref": name}}, "items")
    with pytest.raises(SchemaError, match="does not define") as caught:
        node.target_of(name)
    assert caught.value.path == ("items", "$ref") and not caught.value.invalid
    assert repr(name) in caught.value.reason


def test_the_request_error_has_the_path_of_an_unresolved_reference() -> None:
    assert error_of({"not": {"$ref": "#/a"}}).param == "s.not.$ref"

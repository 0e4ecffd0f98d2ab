"""Object keywords: named properties, and number of properties."""

from collections.abc import Sized

from friendli_endpoint.chat.structured.json_schema.literals import check_text
from friendli_endpoint.chat.structured.json_schema.node import SchemaNode
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, SchemaPath

__all__ = ["check_count", "counts", "properties", "required"]

_MAX_NAMED = 2_000
_MAX_PROPERTIES = 10_000


def properties(node: SchemaNode) -> None:
    """Rewrites `properties`."""
    named = node.schema["properties"]
    check_count(named, node.at("properties"))
    for name in named:
        check_text(name, node.path, "properties", name)
    node.out["properties"] = {
        name: node.rewrite(schema, "properties", name) for name, schema in named.items()
    }


def required(node: SchemaNode) -> None:
    """Copies `required` without repetitions."""
    names = list(dict.fromkeys(node.schema["required"]))
    check_count(names, node.at("required"))
    for name in names:
        check_text(name, node.path, "required")
    node.out["required"] = names


def check_count(names: Sized, path: SchemaPath) -> None:
    """Checks that an object has few enough named properties to be compiled.

    The compiler's work grows with the square of their number.

    Raises:
        SchemaError: At the path.
    """
    if len(names) > _MAX_NAMED:
        raise SchemaError(path, f"it has more than {_MAX_NAMED:,} properties")


def counts(node: SchemaNode) -> None:
    """Rewrites `minProperties` and `maxProperties`."""
    min_count = node.count("minProperties", 0)
    max_count = node.count("maxProperties", _MAX_PROPERTIES)
    required, named = set(node.schema.get("required", ())), node.schema.get("properties", {})
    closed = node.schema.get("additionalProperties") is False
    closed = closed and not node.schema.get("patternProperties")
    bounded = "maxProperties" in node.schema and not (closed and max_count >= len(named))
    if bounded:
        node.out["maxProperties"] = min(max_count, _MAX_PROPERTIES)
    if min_count > len(required) + 1:
        raise SchemaError(
            node.at("minProperties"),
            "it must be at most 1 greater than the number of required properties, because a "
            "grammar cannot ensure that two property names differ",
        )
    optional = [name for name in named if name not in required]
    if min_count > len(required) and optional and not closed and not bounded:
        others = {"properties": dict.fromkeys(optional, False), "minProperties": min_count}
        node.add_any_of([*({"required": [name]} for name in optional), others])
    elif min_count:
        node.out["minProperties"] = min_count

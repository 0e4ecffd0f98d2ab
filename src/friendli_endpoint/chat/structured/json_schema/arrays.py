"""Array keywords: number of items, and schemas of the items."""

import json
from typing import Any

from friendli_endpoint.chat.structured.json_schema.drafts import is_known
from friendli_endpoint.chat.structured.json_schema.keywords import APPLICATORS, UNEVALUATED
from friendli_endpoint.chat.structured.json_schema.node import SchemaNode
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError
from friendli_endpoint.chat.structured.native import COMPILER_VERSION

__all__ = ["counts", "items", "num_values", "unique"]

_MAX_ITEMS = 10_000 if COMPILER_VERSION >= (1, 9) else 2_000
"""Before version 1.9 an item takes 2 symbols of the compiled grammar, and 1,500 bytes."""
_MAX_REQUIRED_ITEMS = 1_000


def counts(node: SchemaNode) -> None:
    """Rewrites `minItems` and `maxItems`."""
    min_items, max_items = node.count("minItems", 0), node.count("maxItems", _MAX_ITEMS)
    if min_items > _MAX_REQUIRED_ITEMS:
        raise SchemaError(node.at("minItems"), f"it must be at most {_MAX_REQUIRED_ITEMS:,}")
    if min_items:
        node.out["minItems"] = min_items
    if "maxItems" in node.schema:
        node.out["maxItems"] = min(max_items, _MAX_ITEMS)


def unique(node: SchemaNode) -> None:
    """Copies `uniqueItems`, which is enforced beside the grammar, and bounds the number of items.

    Items of a list of constants cannot be more than these.
    """
    if not node.schema["uniqueItems"] or node.count("maxItems", _MAX_ITEMS) <= 1:
        return
    if not node.context.compares_items:
        raise SchemaError(node.at("uniqueItems"), "a grammar cannot compare items")
    node.out["uniqueItems"] = True
    different = None if "prefixItems" in node.schema else num_values(node, "items")
    if different is None:
        return
    if node.count("minItems", 0) > different:
        raise SchemaError(node.at("minItems"), f"only {different} items can differ")
    node.out["maxItems"] = min(node.count("maxItems", different), different)


def num_values(node: SchemaNode, keyword: str) -> int | None:
    """Returns the number of different values of an item, if it is one of a list of constants.

    Args:
        node: The array.
        keyword: The keyword that has the schema of the item.
    """
    schema, document = node.schema.get(keyword), node.context.document
    if not isinstance(schema, dict):
        return None
    path = document.follow_references(node.at(keyword))
    schema = document.at(path)
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return 1
    if isinstance(schema.get("enum"), list):
        return len({json.dumps(value, sort_keys=True) for value in schema["enum"]})
    return {"boolean": 2, "null": 1}.get(str(schema.get("type")))


def items(node: SchemaNode) -> None:
    """Rewrites the schemas of the first items and of the rest, as each draft spells them."""
    schema, draft = node.schema, node.context.document.draft
    prefix_keyword, rest_keyword = "prefixItems", "items"
    if isinstance(schema.get("items"), list):
        if "prefixItems" in schema:
            raise SchemaError(
                node.at("items"), "it must be a schema if prefixItems is present", invalid=True
            )
        prefix_keyword, rest_keyword = "items", "additionalItems"
    elif "prefixItems" in schema and not is_known("prefixItems", draft):
        raise SchemaError(node.at("prefixItems"), f"draft {draft} does not have this keyword")
    if rest_keyword not in schema:
        _check_unevaluated(node)
        rest_keyword = "unevaluatedItems"
    prefix = schema.get(prefix_keyword) if isinstance(schema.get(prefix_keyword), list) else None
    if prefix:
        node.out["prefixItems"] = [
            _item(node, item, prefix_keyword, index) for index, item in enumerate(prefix)
        ]
    if rest_keyword in schema:
        node.out["items"] = _item(node, schema[rest_keyword], rest_keyword)


def _item(node: SchemaNode, schema: Any, *keys: str | int) -> Any:
    """Rewrites the schema of an item; the alternatives of `contains` share it by reference."""
    if "contains" not in node.schema or isinstance(schema, bool):
        return node.rewrite(schema, *keys)
    return {"$ref": node.context.reference_to(node.at(*keys))}


def _check_unevaluated(node: SchemaNode) -> None:
    constrains = node.schema.get("unevaluatedItems", True) not in (True, {})
    if constrains and APPLICATORS & node.schema.keys():
        raise SchemaError(node.at("unevaluatedItems"), UNEVALUATED)

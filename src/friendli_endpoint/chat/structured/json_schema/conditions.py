"""Keywords that apply a schema conditionally: `not`, `if`, and dependencies."""

from typing import Any

from friendli_endpoint.chat.structured.json_schema.node import SchemaNode
from friendli_endpoint.chat.structured.json_schema.objects import check_count
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError

__all__ = ["condition", "dependencies", "negation"]


def negation(node: SchemaNode) -> None:
    """Rewrites `not`."""
    node.add_all_of(node.context.complement(node.schema["not"], node.at("not"), exact=True))


def condition(node: SchemaNode) -> None:
    """Rewrites `if`, `then` and `else` into two alternatives."""
    if not {"then", "else"} & node.schema.keys():
        return
    schema = node.schema["if"]
    complement = node.context.complement(schema, node.at("if"), exact=True)
    branches = [(node.rewrite(schema, "if"), "then"), (complement, "else")]
    node.add_any_of(
        [
            {"allOf": [premise, node.rewrite(node.schema.get(keyword, True), keyword)]}
            for premise, keyword in branches
        ]
    )


def dependencies(node: SchemaNode) -> None:
    """Rewrites dependencies: either the property is absent, or its dependency holds."""
    for keyword in ("dependencies", "dependentRequired", "dependentSchemas"):
        for name, dependency in node.schema.get(keyword, {}).items():
            if dependency not in (True, {}, []):
                node.add_all_of(
                    {"anyOf": [{"properties": {name: False}}, _dependent(node, keyword, name)]}
                )


def _dependent(node: SchemaNode, keyword: str, name: str) -> Any:
    dependency = node.schema[keyword][name]
    if isinstance(dependency, dict | bool):
        return node.rewrite(dependency, keyword, name)
    names = [dependency] if isinstance(dependency, str) else dependency
    if not _are_names(names):
        raise SchemaError(node.at(keyword, name), "it must be a list of strings", invalid=True)
    check_count(names, node.at(keyword, name))
    return {"required": list(dict.fromkeys(names))}


def _are_names(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)

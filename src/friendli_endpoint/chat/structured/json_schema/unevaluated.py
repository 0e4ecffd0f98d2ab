"""`unevaluatedProperties`: which properties the schemas beside it describe.

The schemas that always apply to the value (`allOf`, `$ref`) are looked through. Those that apply
only sometimes (`anyOf`, `oneOf`, `if`, `dependentSchemas`) become alternatives: one of them holds,
and its properties are allowed; or none of their properties occurs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from friendli_endpoint.chat.structured.json_schema.node import SchemaNode
from friendli_endpoint.chat.structured.json_schema.paths import SchemaPath
from friendli_endpoint.chat.structured.json_schema.strings import rewrite_pattern

__all__ = ["unevaluated"]

_MAX_ALTERNATIVES = 16
_MAX_REFERENCES = 100


@dataclass(slots=True)
class _Described:
    """Properties that schemas describe.

    Attributes:
        names: Their names.
        patterns: Patterns of their names, for the compiler.
        is_all: Whether all properties are described.
        choices: For each group of schemas of which one applies, the paths of the schemas that hold
            together with it, and the properties that they describe.
    """

    names: dict[str, bool] = field(default_factory=dict)
    patterns: dict[str, bool] = field(default_factory=dict)
    is_all: bool = False
    choices: list[list[tuple[list[SchemaPath], "_Described"]]] = field(default_factory=list)

    def add(self, described: "_Described") -> None:
        self.names.update(described.names)
        self.patterns.update(described.patterns)
        self.is_all = self.is_all or described.is_all


def unevaluated(node: SchemaNode) -> None:
    """Rewrites `unevaluatedProperties` into `additionalProperties` of named properties."""
    schema = node.schema["unevaluatedProperties"]
    if schema in (True, {}) or "additionalProperties" in node.schema:
        return
    rest = node.rewrite(schema, "unevaluatedProperties")
    described = _described(node, node.path, is_outer=True)
    if described.is_all:
        return
    if not described.choices and described.names.keys() == node.schema.get("properties", {}).keys():
        if len(described.patterns) == len(node.schema.get("patternProperties", {})):
            node.out["additionalProperties"] = rest
            return
    alternatives = [*_alternatives(node, described, rest)]
    if len(alternatives) == 1:
        node.add_all_of(*alternatives)
    else:
        node.add_any_of(alternatives)


def _alternatives(node: SchemaNode, described: _Described, rest: Any) -> Iterator[dict[str, Any]]:
    """Yields closed objects, of which one must hold."""
    count, groups = 1, []
    for choice in described.choices:
        if count * (len(choice) + 1) <= _MAX_ALTERNATIVES:
            count *= len(choice) + 1
            groups.append([*choice, ([], _Described())])
    for chosen in product(*groups):
        together = _Described(dict(described.names), dict(described.patterns))
        premises: list[Any] = []
        for paths, also in chosen:
            together.add(also)
            premises += [node.context.rewrite(node.context.document.at(p), p) for p in paths]
        closed: dict[str, Any] = {"properties": dict(together.names)}
        if together.patterns:
            closed["patternProperties"] = dict(together.patterns)
        if not together.is_all:
            closed["additionalProperties"] = rest
        yield {"allOf": [*premises, closed]} if premises else closed


def _described(node: SchemaNode, path: SchemaPath, *, is_outer: bool = False) -> _Described:
    """Returns what the schema at a path describes whenever it holds."""
    out = _Described()
    pending, seen = [path], {path}
    document = node.context.document
    while pending:
        here = pending.pop(0)
        schema = document.at(here)
        if not isinstance(schema, dict):
            continue
        out.names.update(dict.fromkeys(schema.get("properties", ()), True))
        for pattern in schema.get("patternProperties", ()):
            out.patterns[rewrite_pattern(pattern, (*here, "patternProperties", pattern))] = True
        is_open = is_outer and here == path
        if "additionalProperties" in schema or ("unevaluatedProperties" in schema and not is_open):
            out.is_all = True
        found = [(*here, "allOf", index) for index in range(len(schema.get("allOf", ())))]
        if isinstance(schema.get("$ref"), str):
            target = document.resolve(schema["$ref"], here)
            found += [target] if target is not None else []
        found = [inner for inner in found if inner not in seen][: _MAX_REFERENCES - len(seen)]
        seen.update(found)
        pending[:0] = found  # The properties keep the order of the schemas.
        if is_outer:
            out.choices += _choices(node, here, schema)
    return out


def _choices(
    node: SchemaNode, path: SchemaPath, schema: dict[str, Any]
) -> Iterator[list[tuple[list[SchemaPath], _Described]]]:
    """Yields the groups of schemas that a schema applies sometimes, if they describe something."""
    groups: list[list[list[SchemaPath]]] = [
        [[(*path, keyword, index)] for index in range(len(schema[keyword]))]
        for keyword in ("anyOf", "oneOf")
        if keyword in schema
    ]
    if "if" in schema:
        groups.append([[(*path, "if"), *([(*path, "then")] if "then" in schema else [])]])
    for paths_of_group in groups:
        group = []
        for paths in paths_of_group:
            described = _Described()
            for inner in paths:
                described.add(_described(node, inner))
            if described.names or described.patterns or described.is_all:
                group.append((paths, described))
        if group:
            yield group

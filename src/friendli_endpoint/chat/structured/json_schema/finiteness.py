"""Definitions that no finite value satisfies, because they always ask for more of themselves.

A schema has a finite value if enough of its parts have one: all of those that it asks for, one of
its alternatives. So each schema is a gate that opens once enough of the gates it rests on are open,
and what is still closed when no more opens has no finite value (forward chaining in Horn clauses).
The work is linear in the size of the schema, whatever refers to what.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from friendli_endpoint.chat.structured.json_schema.place import SchemaFault, definition_name

__all__ = ["without_endless"]

_ROOT = "#"


def without_endless(root: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The definitions, with `false` for those that have no finite value.

    Args:
        root: The schema, rewritten.
        definitions: Rewritten schemas that its references lead to, by name.

    Raises:
        SchemaFault: The whole schema has none.
    """
    gates = _Gates([_ROOT, *definitions])
    gates.define(_ROOT, root)
    for name, schema in definitions.items():
        gates.define(name, schema)
    finite = gates.open_names()
    if _ROOT not in finite:
        raise SchemaFault((), "no finite value satisfies it")
    return {name: schema if name in finite else False for name, schema in definitions.items()}


class _Gates:
    """Gates by number; those of definitions by name, too."""

    def __init__(self, names: Sequence[str]) -> None:
        self._missing: list[int] = []
        self._users: list[list[int]] = []
        self._named = {name: self._gate([], 1) for name in names}

    def define(self, name: str, schema: Any) -> None:
        """Lets the gate of a definition open with that of its schema."""
        self._users[self._of(schema)].append(self._named[name])

    def open_names(self) -> set[str]:
        """The definitions whose gates can open."""
        opened = set()
        pending = [gate for gate, missing in enumerate(self._missing) if not missing]
        while pending:
            gate = pending.pop()
            opened.add(gate)
            for user in self._users[gate]:
                self._missing[user] -= 1
                if not self._missing[user]:
                    pending.append(user)
        return {name for name, gate in self._named.items() if gate in opened}

    def _gate(self, rests_on: Sequence[int], needed: int) -> int:
        """A new gate that opens once so many of those it rests on are open."""
        gate = len(self._missing)
        self._missing.append(needed)
        self._users.append([])
        for other in rests_on:
            self._users[other].append(gate)
        return gate

    def _of(self, schema: Any) -> int:
        """The gate of a schema."""
        if isinstance(schema, bool):
            return self._gate([], 0 if schema else 1)
        needed = [self._of(part) for part in (*schema.get("allOf", ()), *_inner(schema))]
        if "$ref" in schema:
            needed.append(self._named[definition_name(schema["$ref"])])
        if "anyOf" in schema:
            needed.append(self._gate([self._of(branch) for branch in schema["anyOf"]], 1))
        return self._gate(needed, len(needed))


def _inner(schema: Mapping[str, Any]) -> Sequence[Any]:
    """The schemas of the properties and items that every value has."""
    if schema.get("type") in ("object", ["object"]):
        properties = schema.get("properties", {})
        return [properties.get(name, True) for name in schema.get("required", ())]
    if schema.get("type") in ("array", ["array"]) and schema.get("minItems"):
        prefix = schema.get("prefixItems", [])[: schema["minItems"]]
        return [*prefix, *[schema.get("items", True)] * (schema["minItems"] > len(prefix))]
    return []

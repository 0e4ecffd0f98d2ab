"""Detection of definitions that no finite value satisfies, because they require themselves.

A schema has a finite value if enough of its subschemas have one: all that it requires, and one of
its alternatives. So each schema is a gate that opens once enough of its inputs are open. The gates
that are still closed when no more open have no finite value (forward chaining in Horn clauses).
The work is linear in the size of the schema, whatever the references.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from friendli_endpoint.chat.structured.json_schema.document import with_subschemas
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, definition_name

__all__ = ["replace_infinite"]

_ROOT = "#"


def replace_infinite(
    root: dict[str, Any], definitions: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Replaces references to definitions without a finite value by `false`.

    Args:
        root: The rewritten schema.
        definitions: Rewritten targets of its references, by name.

    Returns:
        The root and the definitions; those without a finite value are `false` too.

    Raises:
        SchemaError: At the root: it has no finite value.
    """
    gates = _Gates([_ROOT, *definitions])
    gates.define(_ROOT, root)
    for name, schema in definitions.items():
        gates.define(name, schema)
    finite = gates.open_names()
    if _ROOT not in finite:
        raise SchemaError((), "no finite value satisfies it")
    if finite.issuperset(definitions):
        return root, definitions
    replaced = {
        name: _with_finite(schema, finite) if name in finite else False
        for name, schema in definitions.items()
    }
    return with_subschemas(root, lambda inner: _with_finite(inner, finite)), replaced


def _with_finite(schema: Any, finite: set[str]) -> Any:
    """Returns a schema in which what refers to a definition without a finite value is `false`."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema and definition_name(schema["$ref"]) not in finite:
        return False
    return with_subschemas(schema, lambda inner: _with_finite(inner, finite))


class _Gates:
    """Gates by number; those of definitions also by name."""

    def __init__(self, names: Sequence[str]) -> None:
        self._missing: list[int] = []
        self._dependents: list[list[int]] = []
        self._known: dict[int, int] = {}
        self._named = {name: self._gate([], 1) for name in names}

    def define(self, name: str, schema: Any) -> None:
        """Makes the gate of a definition open with that of its schema."""
        self._dependents[self._of(schema)].append(self._named[name])

    def open_names(self) -> set[str]:
        """Returns the definitions whose gates can open."""
        opened = set()
        pending = [gate for gate, missing in enumerate(self._missing) if not missing]
        while pending:
            gate = pending.pop()
            opened.add(gate)
            for dependent in self._dependents[gate]:
                self._missing[dependent] -= 1
                if not self._missing[dependent]:
                    pending.append(dependent)
        return {name for name, gate in self._named.items() if gate in opened}

    def _gate(self, inputs: Sequence[int], num_needed: int) -> int:
        """Adds a gate that opens once this number of its inputs are open."""
        gate = len(self._missing)
        self._missing.append(num_needed)
        self._dependents.append([])
        for source in inputs:
            self._dependents[source].append(gate)
        return gate

    def _of(self, schema: Any) -> int:
        """Returns the gate of a schema."""
        if isinstance(schema, bool):
            return self._gate([], 0 if schema else 1)
        if id(schema) not in self._known:  # A schema below several `allOf` is needed by all.
            self._known[id(schema)] = self._of_object(schema)
        return self._known[id(schema)]

    def _of_object(self, schema: Mapping[str, Any]) -> int:
        needed = [self._of(inner) for inner in (*schema.get("allOf", ()), *_required(schema))]
        if "$ref" in schema:
            needed.append(self._named[definition_name(schema["$ref"])])
        if "anyOf" in schema:
            needed.append(self._gate([self._of(branch) for branch in schema["anyOf"]], 1))
        return self._gate(needed, len(needed))


def _required(schema: Mapping[str, Any]) -> Sequence[Any]:
    """Returns the schemas of the properties and items that every value has.

    What the schemas of `allOf` name, require and type counts together.
    """
    parts = list(_conjuncts(schema))
    types = [part.get("type") for part in parts]
    if any(kind in ("object", ["object"]) for kind in types):
        names = {name: None for part in parts for name in part.get("required", ())}
        named = [part["properties"] for part in parts if "properties" in part]
        return [known[name] for name in names for known in named if name in known]
    min_items = max(part.get("minItems", 0) for part in parts)
    if any(kind in ("array", ["array"]) for kind in types) and min_items:
        return [item for part in parts for item in _first_items(part, min_items)]
    return []


def _first_items(schema: Mapping[str, Any], count: int) -> Sequence[Any]:
    prefix = schema.get("prefixItems", [])[:count]
    return [*prefix, *[schema.get("items", True)] * (count > len(prefix))]


def _conjuncts(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yields a schema and those that its `allOf` combines with it."""
    if isinstance(schema, dict):
        yield schema
        for branch in schema.get("allOf", ()):
            yield from _conjuncts(branch)

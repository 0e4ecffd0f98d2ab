"""Extracts the schemas of a document: a whole JSON schema, and each of its definitions."""

from collections.abc import Iterator
from typing import Any

__all__ = ["is_self_contained", "schemas_in"]

_COLLECTIONS = (("components", "schemas"), ("definitions",), ("$defs",))
"""Paths of named schemas in documents: OpenAPI 3, then Swagger 2 and JSON Schema."""

_API_MARKERS = frozenset({"openapi", "swagger"})
_SCHEMA_MARKERS = frozenset(
    {"$ref", "allOf", "anyOf", "enum", "items", "oneOf", "properties", "type"}
)
_LOCAL = "#/"


def schemas_in(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every schema of a document in self-contained form.

    Args:
        document: An OpenAPI document or a JSON schema, as parsed.

    Yields:
        A pointer to the schema in the document, and the schema. Referenced schemas are copied into
        its `$defs`; references that cannot be resolved in the document stay as they are.
    """
    if not isinstance(document, dict):
        return
    if not _API_MARKERS & document.keys() and _SCHEMA_MARKERS & document.keys():
        yield "#", document
    for path in _COLLECTIONS:
        pointer = _LOCAL + "/".join(path)
        collection = _found(document, pointer)
        for name in collection if isinstance(collection, dict) else ():
            if isinstance(collection[name], dict):
                yield f"{pointer}/{name}", _self_contained(collection[name], document)


def is_self_contained(schema: dict[str, Any]) -> bool:
    """Whether no reference of a schema leads to another document."""
    identifiers, references = {""}, set()
    pending: list[Any] = [schema]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            identifiers |= {str(value[key]).rstrip("#") for key in ("$id", "id") if key in value}
            if isinstance(value.get("$ref"), str):
                references.add(value["$ref"].partition("#")[0])
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    ends = {identifier.rpartition("/")[2] for identifier in identifiers}
    return all(reference in identifiers or reference in ends for reference in references)


def _self_contained(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Returns a schema with all directly or indirectly referenced schemas in its `$defs`."""
    names: dict[str, str] = {}
    definitions: dict[str, Any] = {}
    pending: list[str] = []

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: renamed(item) if key == "$ref" and isinstance(item, str) else moved(item)
            for key, item in value.items()
        }

    def renamed(reference: str) -> str:
        if reference not in names:
            if _found(document, reference) is None:
                return reference
            name = reference.rpartition("/")[2]
            while name in names.values():
                name += "_"
            names[reference] = name
            pending.append(reference)
        return f"#/$defs/{names[reference]}"

    alone: dict[str, Any] = moved(schema)
    while pending:
        reference = pending.pop()
        definitions[names[reference]] = moved(_found(document, reference))
    return {**alone, "$defs": definitions} if definitions else alone


def _found(document: Any, pointer: str) -> Any:
    """Returns the value that a JSON pointer refers to, or None if the document has none there."""
    if not pointer.startswith(_LOCAL):
        return None
    value = document
    for step in pointer.removeprefix(_LOCAL).split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if not (isinstance(value, dict) and key in value):
            return None
        value = value[key]
    return value

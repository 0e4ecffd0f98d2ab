"""Resolution of `$ref` within a document: pointers, anchors and ids.

Other documents are never fetched.
"""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from friendli_endpoint.chat.structured.json_schema.drafts import draft_of
from friendli_endpoint.chat.structured.json_schema.keywords import ASSERTIONS
from friendli_endpoint.chat.structured.json_schema.paths import SchemaPath

__all__ = ["Document", "num_subschemas", "subschemas", "with_subschemas"]

_MAX_REFERENCES = 16

_SCHEMA_KEYWORDS = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_LIST_KEYWORDS = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
_MAP_KEYWORDS = frozenset(
    {
        "$defs",
        "definitions",
        "dependencies",
        "dependentSchemas",
        "patternProperties",
        "properties",
    }
)
_IDENTIFIERS = frozenset({"$anchor", "$dynamicAnchor", "$id", "id"})
_SUBSCHEMA_KEYWORDS = _SCHEMA_KEYWORDS | _LIST_KEYWORDS | _MAP_KEYWORDS
"""Keywords whose values are schemas, or lists or maps of schemas."""


def subschemas(schema: dict[str, Any]) -> Iterator[tuple[SchemaPath, Any]]:
    """Yields the direct subschemas with their relative paths; property names are not keywords."""
    for keyword, value in schema.items():
        if keyword not in _SUBSCHEMA_KEYWORDS:
            continue
        if isinstance(value, dict):
            if keyword in _MAP_KEYWORDS:
                for name, inner in value.items():
                    yield (keyword, name), inner
            elif keyword in _SCHEMA_KEYWORDS:
                yield (keyword,), value
        elif isinstance(value, list):
            if keyword in _LIST_KEYWORDS:
                for index, inner in enumerate(value):
                    yield (keyword, index), inner
        elif isinstance(value, bool) and keyword in _SCHEMA_KEYWORDS:
            yield (keyword,), value


def with_subschemas(schema: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Returns a copy of a schema whose direct subschemas are changed."""
    out = dict(schema)
    for keys, inner in subschemas(schema):
        keyword = str(keys[0])
        if len(keys) == 1:
            out[keyword] = change(inner)
            continue
        if out[keyword] is schema[keyword]:
            out[keyword] = schema[keyword].copy()
        out[keyword][keys[1]] = change(inner)
    return out


def num_subschemas(schema: Any) -> int:
    """Counts a schema and the schemas in it; references are not followed."""
    if not isinstance(schema, dict):
        return 1
    return 1 + sum(num_subschemas(inner) for _, inner in subschemas(schema))


class Document:
    """A schema as the user sent it, with the names of its subschemas.

    Args:
        root: The schema.

    Raises:
        SchemaError: It names a version that is not supported.

    Attributes:
        draft: The version of JSON Schema that it names.
        has_references: Whether any of its subschemas has a `$ref`.
        self_references: Paths of the subschemas whose `$ref` leads back to itself on the same
            value and says nothing; see `recursion.py`.
    """

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self.draft = draft_of(root)
        self.has_references = False
        self.self_references: set[SchemaPath] = set()
        self._bases: dict[SchemaPath, str] = {(): ""}
        self._named: dict[str, SchemaPath] = {"": ()}
        self._resolved: dict[tuple[str, str], SchemaPath | None] = {}
        pending: list[tuple[SchemaPath, Any, str]] = [((), root, "")]
        while pending:
            path, schema, base = pending.pop()
            if not isinstance(schema, dict):
                continue
            if "$ref" in schema:
                self.has_references = True
            if not _IDENTIFIERS.isdisjoint(schema):
                base = self._register(path, schema, base)
            pending.extend([((*path, *keys), inner, base) for keys, inner in subschemas(schema)])

    def _register(self, path: SchemaPath, schema: dict[str, Any], base: str) -> str:
        """Registers the ids and anchors of a subschema; returns the base URI inside it."""
        name = schema.get("$id", schema.get("id") if self.draft == 4 else None)
        if isinstance(name, str) and name:
            address, fragment = urldefrag(_joined(base, name))
            if fragment and name.startswith("#"):
                self._named[f"{address}#{fragment}"] = path
            elif address:
                self._named[address] = path
                self._bases[path] = base = address
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(schema.get(keyword), str):
                self._named[f"{base}#{schema[keyword]}"] = path
        return base

    def resolve(self, reference: str, path: SchemaPath) -> SchemaPath | None:
        """Resolves a reference.

        Args:
            reference: The value of a `$ref`.
            path: Path of the subschema that has the `$ref`.

        Returns:
            The path of the target, or None if the document does not contain it.
        """
        absolute = self._base(path), reference
        if absolute not in self._resolved:
            self._resolved[absolute] = self._resolve(*absolute)
        return self._resolved[absolute]

    def _resolve(self, base: str, reference: str) -> SchemaPath | None:
        if reference.startswith("#/") and reference.isprintable() and not base:
            address, fragment = "", reference[1:]  # As below, in a tenth of the time.
        else:
            address, fragment = urldefrag(_joined(base, reference))
        if fragment and not fragment.startswith("/"):
            return self._named.get(f"{address}#{unquote(fragment)}")
        start = self._named.get(address)
        if start is None:
            return None
        keys = [
            unquote(key).replace("~1", "/").replace("~0", "~") for key in fragment.split("/")[1:]
        ]
        return self._descend(start, keys)

    def follow_references(self, path: SchemaPath) -> SchemaPath:
        """Returns the end of a chain of references that have no other keywords beside them."""
        for _ in range(_MAX_REFERENCES):
            schema = self.at(path)
            hides_siblings = self.draft is not None and self.draft <= 7
            if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
                break
            target = self.resolve(schema["$ref"], path)
            if target is None or not (hides_siblings or schema.keys() & ASSERTIONS == {"$ref"}):
                break
            path = target
        return path

    def _descend(self, start: SchemaPath, keys: list[str]) -> SchemaPath | None:
        target, path = self.at(start), start
        for key in keys:
            if isinstance(target, dict) and key in target:
                target, path = target[key], (*path, key)
            elif isinstance(target, list) and key.isdecimal() and int(key) < len(target):
                target, path = target[int(key)], (*path, int(key))
            else:
                return None
        return path

    def _base(self, path: SchemaPath) -> str:
        if len(self._bases) == 1:
            return self._bases[()]
        length = len(path)
        while path[:length] not in self._bases:
            length -= 1
        return self._bases[path[:length]]

    def at(self, path: SchemaPath) -> Any:
        """Returns the value at a path."""
        target: Any = self._root
        for key in path:
            target = target[key]
        return target


def _joined(base: str, reference: str) -> str:
    try:
        return base + reference if reference.startswith("#") else urljoin(base, reference)
    except ValueError:
        return reference

"""Table of keyword rewriters, and the rewriting of a document with it."""

from collections.abc import Iterable
from typing import Any

from friendli_endpoint.chat.structured.json_schema import (
    arrays,
    combinations,
    conditions,
    contains,
    literals,
    names,
    numbers,
    objects,
    strings,
    unevaluated,
)
from friendli_endpoint.chat.structured.json_schema.checking import check_enforced, check_values
from friendli_endpoint.chat.structured.json_schema.complement import complement_of
from friendli_endpoint.chat.structured.json_schema.disjoint import Comparison
from friendli_endpoint.chat.structured.json_schema.document import Document
from friendli_endpoint.chat.structured.json_schema.keywords import APPLIES_TO, types_of
from friendli_endpoint.chat.structured.json_schema.multiples import Multiples
from friendli_endpoint.chat.structured.json_schema.node import KeywordRewriter, SchemaNode
from friendli_endpoint.chat.structured.json_schema.paths import (
    SchemaError,
    SchemaPath,
    definition_pointer,
)

__all__ = ["Rewriter"]

_MAX_SCHEMAS = 20_000
_MAX_LITERALS = 10_000
_MAX_COMPLEMENT_DEPTH = 30
_MAX_EXCLUDED = 30_000
"""Characters and classes in the patterns of all complements. 46,617 of them, for one text of 1,990
characters, take 2 MiB and 30 ms in the compiler, and 8 MiB while it works; in proportion."""

_REWRITERS: dict[str, KeywordRewriter] = {
    "$ref": combinations.reference,
    "additionalItems": contains.items,
    "additionalProperties": names.names,
    "allOf": combinations.all_of,
    "anyOf": combinations.any_of,
    "const": literals.const,
    "contains": contains.items,
    "dependencies": conditions.dependencies,
    "dependentRequired": conditions.dependencies,
    "dependentSchemas": conditions.dependencies,
    "enum": literals.enum,
    "exclusiveMaximum": numbers.bounds,
    "exclusiveMinimum": numbers.bounds,
    "format": strings.formatted,
    "if": conditions.condition,
    "items": contains.items,
    "maxItems": arrays.counts,
    "maxLength": strings.lengths,
    "maxProperties": objects.counts,
    "maximum": numbers.bounds,
    "minItems": arrays.counts,
    "minLength": strings.lengths,
    "minProperties": objects.counts,
    "minimum": numbers.bounds,
    "multipleOf": numbers.multiple,
    "not": conditions.negation,
    "oneOf": combinations.one_of,
    "pattern": strings.pattern,
    "patternProperties": names.names,
    "prefixItems": contains.items,
    "properties": objects.properties,
    "propertyNames": names.names,
    "required": objects.required,
    "unevaluatedItems": contains.items,
    "unevaluatedProperties": unevaluated.unevaluated,
    "uniqueItems": arrays.unique,
}
"""Rewriter of each keyword. A keyword that is in no table is an annotation and is dropped."""


class Rewriter:
    """Rewriting of one document; implements `RewriteContext`.

    Args:
        document: The schema as the user sent it.
        compares_items: Whether the items of arrays will be compared as they are generated.

    Attributes:
        document: The schema as the user sent it.
        compares_items: Whether the items of arrays will be compared as they are generated.
        comparison: Finds subschemas of the document that exclude each other.
        multiples: The values of `multipleOf` so far.
        subschemas: Paths of the subschemas in use, and the rewritten form of each; outer ones
            first.
    """

    def __init__(self, document: Document, *, compares_items: bool = True) -> None:
        self.document = document
        self.compares_items = compares_items
        self.comparison = Comparison(document)
        self.multiples = Multiples()
        self.subschemas: list[tuple[SchemaPath, dict[str, Any]]] = []
        self._num_nodes = 0
        self._num_literals = 0
        self._num_excluded = 0
        self._num_defined = 0
        self._definitions: dict[str, Any] = {}
        self._names: dict[SchemaPath, str] = {}
        self._pending: list[SchemaPath] = []
        self._complements: dict[tuple[SchemaPath, bool], str | SchemaError] = {}
        self._complement_depth = 0

    def result(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Rewrites the document.

        Returns:
            The root, and the definitions that its references lead to, by name.

        Raises:
            SchemaError: A subschema is invalid or cannot be enforced.
        """
        root = self.rewrite(self.document.at(()), ())
        while self._pending:
            path = self._pending.pop()
            self._definitions[self._names[path]] = self.rewrite(self.document.at(path), path)
        return root, self._definitions

    def rewrite(self, schema: Any, path: SchemaPath) -> Any:
        """Rewrites a subschema.

        Raises:
            SchemaError: The subschema is invalid or cannot be enforced.
        """
        if isinstance(schema, bool):
            return schema
        check_values(schema, path, self.document.draft)
        check_enforced(schema, path)
        node = self._node(schema, path)
        if "type" in schema:
            hidden = {"integer"} if "number" in node.types else set()
            types = [kind for kind in node.types if kind not in hidden]
            node.out["type"] = types if isinstance(schema["type"], list) else types[0]
        self.subschemas.append((path, node.out))
        for rewriter in _rewriters_of(node.schema):
            rewriter(node)
        return node.out

    def complement(self, schema: Any, path: SchemaPath, *, exact: bool) -> Any:
        """Rewrites the complement of a subschema.

        Args:
            schema: The subschema.
            path: Path of the subschema.
            exact: Whether every value that violates the subschema must satisfy the complement.

        Raises:
            SchemaError: The subschema is invalid, or has no such complement.
        """
        if isinstance(schema, bool):
            return not schema
        check_values(schema, path, self.document.draft)
        out = complement_of(self._node(schema, path), exact=exact)
        if isinstance(out, dict):
            self.subschemas.append((path, out))
        return out

    def reference_to(self, path: SchemaPath) -> str:
        """Returns the `$ref` to the rewritten subschema at a path, which is rewritten later."""
        if path == ():
            return "#"
        if path not in self._names:
            self._names[path] = f"d{len(self._names)}"
            self._pending.append(path)
        return definition_pointer(self._names[path])

    def define(self, schema: Any) -> str:
        """Adds a rewritten schema to the definitions, and returns the `$ref` to it."""
        self._num_defined += 1
        name = f"c{self._num_defined}"
        self._definitions[name] = schema
        return definition_pointer(name)

    def reference_to_complement(self, path: SchemaPath, *, exact: bool) -> str:
        """Returns the `$ref` to the complement of the subschema at a path.

        Raises:
            SchemaError: The complement does not exist.
        """
        key = path, exact
        if key not in self._complements:
            if self._complement_depth >= _MAX_COMPLEMENT_DEPTH:
                raise SchemaError(
                    path, f"its complement nests more than {_MAX_COMPLEMENT_DEPTH} references"
                )
            self._complements[key] = name = f"n{len(self._complements)}"
            self._complement_depth += 1
            try:
                complement = self.complement(self.document.at(path), path, exact=exact)
            except SchemaError as error:
                self._complements[key] = error
                self._definitions[name] = False  # Parts of it that refer back may be in use.
            else:
                self._definitions[name] = complement
            finally:
                self._complement_depth -= 1
        result = self._complements[key]
        if isinstance(result, SchemaError):
            raise result
        return definition_pointer(result)

    def _node(self, schema: dict[str, Any], path: SchemaPath) -> SchemaNode:
        self._num_nodes += 1
        if self._num_nodes > _MAX_SCHEMAS:
            raise SchemaError((), f"it has more than {_MAX_SCHEMAS:,} schemas once it is rewritten")
        types = types_of(schema)
        applicable = {
            keyword: value
            for keyword, value in schema.items()
            if keyword not in APPLIES_TO or not APPLIES_TO[keyword].isdisjoint(types)
        }
        return SchemaNode(self, applicable, path, types)

    def count_literals(self, count: int) -> None:
        """Counts lists and objects in constants, and their items.

        Raises:
            SchemaError: The document has too many.
        """
        self._num_literals += count
        if self._num_literals > _MAX_LITERALS:
            raise SchemaError(
                (), f"its constant lists and objects have more than {_MAX_LITERALS:,} items"
            )

    def count_excluded(self, size: int, path: SchemaPath) -> None:
        """Counts the characters and classes of a pattern that excludes texts.

        Raises:
            SchemaError: At the path: all such patterns together are too large.
        """
        self._num_excluded += size
        if self._num_excluded > _MAX_EXCLUDED:
            raise SchemaError(
                path,
                "the patterns of all strings that the schema excludes would have more than "
                f"{_MAX_EXCLUDED:,} characters",
            )


def _rewriters_of(schema: dict[str, Any]) -> Iterable[KeywordRewriter]:
    """Returns each rewriter once, in the order of the keywords: properties keep that order."""
    return dict.fromkeys([_REWRITERS[keyword] for keyword in schema if keyword in _REWRITERS])

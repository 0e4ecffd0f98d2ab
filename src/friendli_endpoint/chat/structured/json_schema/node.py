"""One subschema while it is rewritten, and the context that its keyword rewriters use."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from friendli_endpoint.chat.structured.json_schema.disjoint import Comparison
from friendli_endpoint.chat.structured.json_schema.document import Document
from friendli_endpoint.chat.structured.json_schema.multiples import Multiples
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, SchemaPath

__all__ = ["KeywordRewriter", "RewriteContext", "SchemaNode"]


class RewriteContext(Protocol):
    """State of the rewriting of one document, shared by all of its nodes.

    It belongs to one request and one thread. Its methods do not change the schemas they are given.
    """

    @property
    def document(self) -> Document:
        """The schema as the user sent it."""

    @property
    def compares_items(self) -> bool:
        """Whether the items of arrays will be compared as they are generated."""

    @property
    def comparison(self) -> Comparison:
        """Finds subschemas of the document that exclude each other."""

    @property
    def multiples(self) -> Multiples:
        """The values of `multipleOf` so far."""

    def rewrite(self, schema: Any, path: SchemaPath) -> Any:
        """Rewrites a subschema.

        Args:
            schema: The subschema: an object, or true or false.
            path: Path of the subschema, used in errors and to resolve its references.

        Returns:
            A new object, or the same boolean. References lead to definitions by pointer.

        Raises:
            SchemaError: The subschema is invalid or cannot be enforced.
        """

    def complement(self, schema: Any, path: SchemaPath, *, exact: bool) -> Any:
        """Rewrites the complement of a subschema.

        Args:
            schema: The subschema: an object, or true or false.
            path: Path of the subschema.
            exact: Whether every value that violates the subschema must satisfy the complement.
                Otherwise the complement may be stricter.

        Returns:
            A schema that holds for no value that satisfies the subschema.

        Raises:
            SchemaError: The subschema is invalid, or has no such complement.
        """

    def reference_to(self, path: SchemaPath) -> str:
        """Returns the `$ref` to the rewritten subschema at a path, which is rewritten later."""

    def define(self, schema: Any) -> str:
        """Adds a rewritten schema to the definitions, and returns the `$ref` to it."""

    def reference_to_complement(self, path: SchemaPath, *, exact: bool) -> str:
        """Returns the `$ref` to the complement of the subschema at a path.

        Raises:
            SchemaError: The complement does not exist.
        """

    def count_literals(self, count: int) -> None:
        """Counts lists and objects in constants, and their items.

        Raises:
            SchemaError: The document has too many.
        """

    def count_excluded(self, size: int, path: SchemaPath) -> None:
        """Counts the characters and classes of a pattern that excludes texts.

        Raises:
            SchemaError: At the path: all such patterns together are too large.
        """


@dataclass(frozen=True, slots=True)
class SchemaNode:
    """A subschema and its rewritten form.

    Attributes:
        context: The rewriting of the document.
        schema: The subschema, without keywords that do not apply to its types.
        path: Path of the subschema.
        types: The JSON types that `type` allows; all types if there is no `type`.
        out: The rewritten form; keyword rewriters add to it.
    """

    context: RewriteContext
    schema: dict[str, Any]
    path: SchemaPath
    types: tuple[str, ...]
    out: dict[str, Any] = field(default_factory=dict)

    def at(self, *keys: str | int) -> SchemaPath:
        """Returns a path inside the subschema."""
        return (*self.path, *keys)

    def rewrite(self, schema: Any, *keys: str | int) -> Any:
        """Rewrites a subschema that is at these keys."""
        return self.context.rewrite(schema, self.at(*keys))

    def target_of(self, reference: str) -> SchemaPath:
        """Resolves a `$ref` of this subschema to a path.

        Raises:
            SchemaError: The document lacks the target.
        """
        target = self.context.document.resolve(reference, self.path)
        if target is None:
            raise SchemaError(
                self.at("$ref"),
                f"the schema does not define {reference!r}, and references to other documents "
                "are not supported",
            )
        return target

    def count(self, keyword: str, default: int) -> int:
        """Returns the value of a keyword that is a whole number."""
        return int(self.schema.get(keyword, default))

    def add_all_of(self, *schemas: Any) -> None:
        """Adds schemas, all of which must also hold."""
        self.out["allOf"] = [*self.out.get("allOf", ()), *schemas]

    def add_any_of(self, branches: list[Any]) -> None:
        """Adds alternatives, one of which must also hold."""
        if "anyOf" in self.out:
            self.add_all_of({"anyOf": branches})
        else:
            self.out["anyOf"] = branches

    def add_any_of_type(self, kind: str, branches: list[dict[str, Any]]) -> None:
        """Adds alternatives for values of one type, one of which must also hold for these."""
        hidden = {kind, "integer"} if "number" in self.types else {kind}
        others = [name for name in self.types if name not in hidden]
        typed: list[Any] = [{"type": kind, **branch} for branch in branches]
        self.add_any_of([*typed, {"type": others}] if others else typed)


KeywordRewriter = Callable[[SchemaNode], None]
"""Rewrites some keywords of a node, which has at least one of them, into its `out`."""

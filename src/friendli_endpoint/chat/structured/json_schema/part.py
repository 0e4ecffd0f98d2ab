"""One schema inside a document on its way to the compiler, and what a rewriting is given of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from friendli_endpoint.chat.structured.json_schema.disjoint import Comparison
from friendli_endpoint.chat.structured.json_schema.document import Document
from friendli_endpoint.chat.structured.json_schema.multiples import Multiples
from friendli_endpoint.chat.structured.json_schema.place import Place, SchemaFault

__all__ = ["Part", "Step", "Whole"]


class Whole(Protocol):
    """The rewriting of a whole document, as its parts know it."""

    @property
    def document(self) -> Document:
        """What the user sent."""

    @property
    def comparison(self) -> Comparison:
        """Tells which of its schemas exclude each other."""

    @property
    def multiples(self) -> Multiples:
        """The `multipleOf`s so far."""

    def rewritten(self, schema: Any, place: Place) -> Any:
        """What becomes of a schema.

        Raises:
            SchemaFault: It is no valid schema, or cannot be enforced.
        """

    def complement(self, schema: Any, place: Place, *, exact: bool) -> Any:
        """What becomes of the complement of a schema.

        Args:
            schema: It.
            place: Where it is.
            exact: Whether the complement must hold wherever the schema does not.

        Raises:
            SchemaFault: It is no valid schema, or there is no such complement.
        """

    def reference_to(self, place: Place) -> str:
        """The `$ref` to what becomes of the schema at a place."""

    def reference_to_complement(self, place: Place, *, exact: bool) -> str:
        """The `$ref` to what becomes of the complement of the schema at a place."""

    def count_literals(self, count: int) -> None:
        """Counts lists and objects in constants, and their items.

        Raises:
            SchemaFault: They are too many.
        """


@dataclass(frozen=True, slots=True)
class Part:
    """A schema, and what becomes of it.

    Attributes:
        whole: The rewriting that it is a part of.
        schema: It, without the keywords that say nothing of its types.
        place: Where it is.
        types: The JSON types that it allows, as far as `type` says so.
        out: What it becomes.
    """

    whole: Whole
    schema: dict[str, Any]
    place: Place
    types: tuple[str, ...]
    out: dict[str, Any] = field(default_factory=dict)

    def at(self, *steps: str | int) -> Place:
        """The place of something inside it."""
        return (*self.place, *steps)

    def rewritten(self, schema: Any, *steps: str | int) -> Any:
        """What becomes of a schema inside it."""
        return self.whole.rewritten(schema, self.at(*steps))

    def target_of(self, name: str) -> Place:
        """The place of the schema that a `$ref` in it stands for.

        Raises:
            SchemaFault: There is none.
        """
        target = self.whole.document.resolve(name, self.place)
        if target is None:
            raise SchemaFault(
                self.at("$ref"),
                f"there is nothing by the name {name!r} in the schema; no other is fetched",
            )
        return target

    def count(self, keyword: str, default: int) -> int:
        """The value of a keyword that is a whole number."""
        return int(self.schema.get(keyword, default))

    def also(self, *schemas: Any) -> None:
        """Adds schemas that have to hold as well."""
        self.out["allOf"] = [*self.out.get("allOf", ()), *schemas]

    def either(self, branches: list[Any]) -> None:
        """Adds alternatives, one of which has to hold as well."""
        if "anyOf" in self.out:
            self.also({"anyOf": branches})
        else:
            self.out["anyOf"] = branches


Step = Callable[[Part], None]
"""Rewrites some keywords of a part, which has at least one of them, into its `out`."""

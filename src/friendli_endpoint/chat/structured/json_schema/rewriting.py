"""The table from keywords to their rewritings, and the way through a document by it."""

from collections.abc import Iterable
from typing import Any

from friendli_endpoint.chat.structured.json_schema import (
    arrays,
    combinations,
    conditions,
    literals,
    names,
    numbers,
    objects,
    strings,
)
from friendli_endpoint.chat.structured.json_schema.checking import check_enforced, check_values
from friendli_endpoint.chat.structured.json_schema.complement import complement_of
from friendli_endpoint.chat.structured.json_schema.disjoint import Comparison
from friendli_endpoint.chat.structured.json_schema.document import Document
from friendli_endpoint.chat.structured.json_schema.keywords import APPLIES_TO, types_of
from friendli_endpoint.chat.structured.json_schema.multiples import Multiples
from friendli_endpoint.chat.structured.json_schema.part import Part, Step
from friendli_endpoint.chat.structured.json_schema.place import (
    Place,
    SchemaFault,
    definition_pointer,
)

__all__ = ["Rewriting"]

_MOST_SCHEMAS = 20_000
_MAX_LITERALS = 10_000
_MOST_DENIALS = 30

_STEPS: dict[str, Step] = {
    "$ref": combinations.reference,
    "additionalItems": arrays.items,
    "additionalProperties": names.names,
    "allOf": combinations.all_of,
    "anyOf": combinations.any_of,
    "const": literals.const,
    "dependencies": conditions.dependencies,
    "dependentRequired": conditions.dependencies,
    "dependentSchemas": conditions.dependencies,
    "enum": literals.enum,
    "exclusiveMaximum": numbers.bounds,
    "exclusiveMinimum": numbers.bounds,
    "format": strings.formatted,
    "if": conditions.condition,
    "items": arrays.items,
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
    "prefixItems": arrays.items,
    "properties": objects.properties,
    "propertyNames": names.names,
    "required": objects.required,
    "unevaluatedItems": arrays.items,
    "unevaluatedProperties": objects.unevaluated,
}
"""Keyword to how it is rewritten. What is in no table is an annotation, and is left out."""


class Rewriting:
    """One rewriting: what was made of the parts of a document, and those still to be made.

    Args:
        document: What the user sent.

    Attributes:
        document: The same.
        comparison: Tells which of its schemas exclude each other.
        multiples: The `multipleOf`s so far.
        parts: The places of the schemas that are used, and what became of each; outer ones first.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.comparison = Comparison(document)
        self.multiples = Multiples()
        self.parts: list[tuple[Place, dict[str, Any]]] = []
        self._made = 0
        self._literals = 0
        self._definitions: dict[str, Any] = {}
        self._names: dict[Place, str] = {}
        self._pending: list[Place] = []
        self._denied: dict[tuple[Place, bool], str | SchemaFault] = {}
        self._denying = 0

    def result(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What becomes of the root, and by name of all that its references lead to.

        Raises:
            SchemaFault: Some schema is not valid, or cannot be enforced.
        """
        root = self.rewritten(self.document.at(()), ())
        while self._pending:
            place = self._pending.pop()
            self._definitions[self._names[place]] = self.rewritten(self.document.at(place), place)
        return root, self._definitions

    def rewritten(self, schema: Any, place: Place) -> Any:
        """What becomes of a schema.

        Raises:
            SchemaFault: It is no valid schema, or cannot be enforced.
        """
        if isinstance(schema, bool):
            return schema
        check_values(schema, place, self.document.draft)
        check_enforced(schema, place)
        part = self._begun(schema, place)
        if "type" in schema:
            part.out["type"] = (
                list(part.types) if isinstance(schema["type"], list) else part.types[0]
            )
        self.parts.append((place, part.out))
        for step in _steps(part.schema):
            step(part)
        return part.out

    def complement(self, schema: Any, place: Place, *, exact: bool) -> Any:
        """What becomes of the complement of a schema.

        Args:
            schema: It.
            place: Where it is.
            exact: Whether the complement must hold wherever the schema does not.

        Raises:
            SchemaFault: It is no valid schema, or there is no such complement.
        """
        if isinstance(schema, bool):
            return not schema
        check_values(schema, place, self.document.draft)
        out = complement_of(self._begun(schema, place), exact=exact)
        if isinstance(out, dict):
            self.parts.append((place, out))
        return out

    def reference_to(self, place: Place) -> str:
        """The `$ref` to what becomes of the schema at a place."""
        if place == ():
            return "#"
        if place not in self._names:
            self._names[place] = f"d{len(self._names)}"
            self._pending.append(place)
        return definition_pointer(self._names[place])

    def reference_to_complement(self, place: Place, *, exact: bool) -> str:
        """The `$ref` to what becomes of the complement of the schema at a place.

        Raises:
            SchemaFault: There is no such complement.
        """
        key = place, exact
        if key not in self._denied:
            if self._denying >= _MOST_DENIALS:
                raise SchemaFault(place, "complements of it lead too deep")
            self._denied[key] = name = f"n{len(self._denied)}"
            self._denying += 1
            try:
                complement = self.complement(self.document.at(place), place, exact=exact)
            except SchemaFault as fault:
                self._denied[key] = fault
            else:
                self._definitions[name] = complement
            finally:
                self._denying -= 1
        denied = self._denied[key]
        if isinstance(denied, SchemaFault):
            raise denied
        return definition_pointer(denied)

    def _begun(self, schema: dict[str, Any], place: Place) -> Part:
        self._made += 1
        if self._made > _MOST_SCHEMAS:
            raise SchemaFault((), f"it has more than {_MOST_SCHEMAS:,} schemas in it")
        types = types_of(schema)
        telling = {
            keyword: value
            for keyword, value in schema.items()
            if keyword not in APPLIES_TO or not APPLIES_TO[keyword].isdisjoint(types)
        }
        return Part(self, telling, place, types)

    def count_literals(self, count: int) -> None:
        """Counts lists and objects in constants, and their items.

        Raises:
            SchemaFault: They are too many.
        """
        self._literals += count
        if self._literals > _MAX_LITERALS:
            raise SchemaFault(
                (), f"its lists and objects hold more than {_MAX_LITERALS:,} constants"
            )


def _steps(schema: dict[str, Any]) -> Iterable[Step]:
    """What there is to do, each once, in the user's order: properties come out in that order."""
    return dict.fromkeys([_STEPS[keyword] for keyword in schema if keyword in _STEPS])

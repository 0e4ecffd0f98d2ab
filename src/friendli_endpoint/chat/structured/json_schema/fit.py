"""The way of a schema, from what a request holds to what the compiler takes."""

from dataclasses import dataclass
from typing import Any

from friendli_endpoint.chat.structured.json_schema.conjunction import check_conjunctions
from friendli_endpoint.chat.structured.json_schema.document import Document
from friendli_endpoint.chat.structured.json_schema.expansion import check_expansion
from friendli_endpoint.chat.structured.json_schema.finiteness import without_endless
from friendli_endpoint.chat.structured.json_schema.place import Place, SchemaFault
from friendli_endpoint.chat.structured.json_schema.recursion import check_circles, check_depth
from friendli_endpoint.chat.structured.json_schema.rewriting import Rewriting
from friendli_endpoint.chat.structured.json_schema.size import schema_text

__all__ = ["FitSchema", "fit_schema"]


@dataclass(frozen=True, slots=True)
class FitSchema:
    """A schema as the compiler takes it.

    Attributes:
        root: It, with what its references lead to.
        definitions: What its references lead to.
        parts: The places in the user's schema of the schemas it is made of, and what became of
            each; outer ones first.
    """

    root: dict[str, Any]
    definitions: dict[str, Any]
    parts: list[tuple[Place, dict[str, Any]]]


def fit_schema(schema: object, param: str) -> FitSchema:
    """The schema as the compiler takes it.

    Args:
        schema: What the request holds.
        param: Where it is in the request.

    Raises:
        RequestError: It is no valid schema, too large, or has a keyword that cannot be enforced.
    """
    schema_text(schema, param)
    try:
        document = Document(_as_object(schema))
        check_circles(document)
        rewriting = Rewriting(document)
        root, definitions = rewriting.result()
        definitions = without_endless(root, definitions)
        check_depth(root, definitions)
        check_expansion(root, definitions)
        check_conjunctions(root, definitions)
    except SchemaFault as fault:
        raise fault.refusal(param) from fault
    referred = {"$defs": definitions} if definitions else {}
    return FitSchema({**root, **referred}, definitions, rewriting.parts)


def _as_object(schema: object) -> dict[str, Any]:
    if isinstance(schema, bool):
        return {} if schema else {"allOf": [False]}
    if not isinstance(schema, dict):
        raise SchemaFault((), "it must be a JSON object", invalid=True)
    return schema

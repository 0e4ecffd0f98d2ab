"""Stages that turn the schema of a request into one that the compiler enforces."""

from dataclasses import dataclass
from typing import Any

from friendli_endpoint.chat.structured.json_schema.conjunction import check_conjunctions
from friendli_endpoint.chat.structured.json_schema.document import Document
from friendli_endpoint.chat.structured.json_schema.dynamic import with_fixed_references
from friendli_endpoint.chat.structured.json_schema.expansion import check_expansion
from friendli_endpoint.chat.structured.json_schema.finiteness import replace_infinite
from friendli_endpoint.chat.structured.json_schema.fixed_text import check_fixed_text
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, SchemaPath
from friendli_endpoint.chat.structured.json_schema.recursion import check_cycles, check_depth
from friendli_endpoint.chat.structured.json_schema.recursive_conjunctions import close_conjunctions
from friendli_endpoint.chat.structured.json_schema.rewriter import Rewriter
from friendli_endpoint.chat.structured.json_schema.size import schema_text

__all__ = ["RewrittenSchema", "rewrite_schema"]

_MAX_PROPERTIES = 200
"""Each becomes up to 16 KB of ranges of characters."""


@dataclass(frozen=True, slots=True)
class RewrittenSchema:
    """A schema that the compiler enforces.

    Attributes:
        root: The schema, including its definitions in `$defs`.
        definitions: Targets of its references, by name.
        subschemas: Paths in the original schema and the rewritten subschema of each; outer ones
            first.
    """

    root: dict[str, Any]
    definitions: dict[str, Any]
    subschemas: list[tuple[SchemaPath, dict[str, Any]]]


def rewrite_schema(schema: object, param: str, *, compares_items: bool = True) -> RewrittenSchema:
    """Rewrites a schema for the compiler.

    Args:
        schema: The value in the request; it may be anything.
        param: Path of the schema in the request.
        compares_items: Whether the items of arrays will be compared as they are generated, beside
            the grammar; `uniqueItems` is then kept.

    Raises:
        RequestError: The schema is invalid, too large, or has a keyword that cannot be enforced.
    """
    text = schema_text(schema, param)
    try:
        _check_properties(text)
        document = Document(with_fixed_references(_as_object(schema)))
        check_cycles(document)
        rewriter = Rewriter(document, compares_items=compares_items)
        root, definitions = rewriter.result()
        root, definitions = close_conjunctions(root, definitions)
        root, definitions = replace_infinite(root, definitions)
        check_depth(root, definitions)
        check_expansion(root, definitions)
        check_conjunctions(root, definitions)
        check_fixed_text(root, definitions)
    except SchemaError as error:
        raise error.to_request_error(param) from error
    defs = {"$defs": definitions} if definitions else {}
    return RewrittenSchema({**root, **defs}, definitions, rewriter.subschemas)


def _check_properties(text: str) -> None:
    r"""Checks the number of Unicode properties in all patterns: `\p{…}` and `\P{…}`."""
    if text.lower().count(r"\p{") > _MAX_PROPERTIES:
        raise SchemaError((), f"its patterns have more than {_MAX_PROPERTIES} Unicode properties")


def _as_object(schema: object) -> dict[str, Any]:
    if isinstance(schema, bool):
        return {} if schema else {"allOf": [False]}
    if not isinstance(schema, dict):
        raise SchemaError((), "it must be a JSON object", invalid=True)
    return schema

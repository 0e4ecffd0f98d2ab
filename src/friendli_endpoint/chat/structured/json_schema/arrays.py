"""Keywords of arrays: how many items, and what they are."""

from friendli_endpoint.chat.structured.json_schema.drafts import is_known
from friendli_endpoint.chat.structured.json_schema.keywords import APPLICATORS, UNEVALUATED
from friendli_endpoint.chat.structured.json_schema.part import Part
from friendli_endpoint.chat.structured.json_schema.place import SchemaFault

__all__ = ["counts", "items"]

_MOST_ITEMS = 10_000
_MOST_REQUIRED_ITEMS = 1_000


def counts(part: Part) -> None:
    """Rewrites `minItems` and `maxItems`."""
    least, most = part.count("minItems", 0), part.count("maxItems", _MOST_ITEMS)
    if least > _MOST_REQUIRED_ITEMS:
        raise SchemaFault(part.at("minItems"), f"it must be at most {_MOST_REQUIRED_ITEMS:,}")
    if least:
        part.out["minItems"] = least
    if "maxItems" in part.schema:
        part.out["maxItems"] = min(most, _MOST_ITEMS)


def items(part: Part) -> None:
    """Rewrites what the first items are, and what the others are, in the words of each draft."""
    schema, draft = part.schema, part.whole.document.draft
    first, others = "prefixItems", "items"
    if isinstance(schema.get("items"), list):
        if "prefixItems" in schema:
            raise SchemaFault(
                part.at("items"), "it must be a schema beside prefixItems", invalid=True
            )
        first, others = "items", "additionalItems"
    elif "prefixItems" in schema and not is_known("prefixItems", draft):
        raise SchemaFault(part.at("prefixItems"), f"draft {draft} has no such keyword")
    if others not in schema:
        _check_unevaluated(part)
        others = "unevaluatedItems"
    prefix = schema.get(first) if isinstance(schema.get(first), list) else None
    if prefix:
        part.out["prefixItems"] = [
            part.rewritten(each, first, index) for index, each in enumerate(prefix)
        ]
    if others in schema:
        part.out["items"] = part.rewritten(schema[others], others)


def _check_unevaluated(part: Part) -> None:
    asked = part.schema.get("unevaluatedItems", True) not in (True, {})
    if asked and APPLICATORS & part.schema.keys():
        raise SchemaFault(part.at("unevaluatedItems"), UNEVALUATED)

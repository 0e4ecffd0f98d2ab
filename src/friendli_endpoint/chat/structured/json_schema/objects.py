"""Keywords of objects: the properties by name, and how many there are."""

from collections.abc import Sized

from friendli_endpoint.chat.structured.json_schema.keywords import APPLICATORS, UNEVALUATED
from friendli_endpoint.chat.structured.json_schema.literals import check_text
from friendli_endpoint.chat.structured.json_schema.part import Part
from friendli_endpoint.chat.structured.json_schema.place import Place, SchemaFault

__all__ = ["check_count", "counts", "properties", "required", "unevaluated"]

_MAX_NAMED = 2_000
_MOST_PROPERTIES = 10_000


def properties(part: Part) -> None:
    """Rewrites `properties`."""
    named = part.schema["properties"]
    check_count(named, part.at("properties"))
    for name in named:
        check_text(name, part.place, "properties", name)
    part.out["properties"] = {
        name: part.rewritten(each, "properties", name) for name, each in named.items()
    }


def required(part: Part) -> None:
    """Takes `required` over."""
    names = list(dict.fromkeys(part.schema["required"]))
    check_count(names, part.at("required"))
    for name in names:
        check_text(name, part.place, "required")
    part.out["required"] = names


def check_count(names: Sized, place: Place) -> None:
    """Refuses an object with so many named properties that its grammar cannot be compiled.

    The compiler's work grows with the square of their number.

    Raises:
        SchemaFault: Said of the place.
    """
    if len(names) > _MAX_NAMED:
        raise SchemaFault(place, f"it has more than {_MAX_NAMED:,} properties")


def counts(part: Part) -> None:
    """Rewrites `minProperties` and `maxProperties`."""
    least, most = part.count("minProperties", 0), part.count("maxProperties", _MOST_PROPERTIES)
    required, named = set(part.schema.get("required", ())), part.schema.get("properties", {})
    closed = part.schema.get("additionalProperties") is False
    closed = closed and not part.schema.get("patternProperties")
    bounded = "maxProperties" in part.schema and not (closed and most >= len(named))
    if bounded:
        part.out["maxProperties"] = min(most, _MOST_PROPERTIES)
    if least > len(required) + 1:
        raise SchemaFault(
            part.at("minProperties"),
            "a grammar cannot tell that two names differ; it may ask for at most one property "
            "that is not required",
        )
    optional = [name for name in named if name not in required]
    if least > len(required) and optional and not closed and not bounded:
        others = {"properties": dict.fromkeys(optional, False), "minProperties": least}
        part.either([*({"required": [name]} for name in optional), others])
    elif least:
        part.out["minProperties"] = least


def unevaluated(part: Part) -> None:
    """Rewrites `unevaluatedProperties` where nothing else is in the same place."""
    rest = part.schema["unevaluatedProperties"]
    if rest in (True, {}) or "additionalProperties" in part.schema:
        return
    if APPLICATORS & part.schema.keys():
        raise SchemaFault(part.at("unevaluatedProperties"), UNEVALUATED)
    part.out["additionalProperties"] = part.rewritten(rest, "unevaluatedProperties")

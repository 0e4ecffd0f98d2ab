"""Bounds of numbers, in the ranges where the compiler is exact.

Numbers pass through 64-bit floats on their way, here and at whoever validates the answer: bounds
are drawn in to where floats hold every whole number.
"""

from fractions import Fraction
from typing import Any

from friendli_endpoint.chat.structured.json_schema.part import Part
from friendli_endpoint.chat.structured.json_schema.place import Place, SchemaFault

__all__ = ["bounds", "multiple", "numeric_bounds", "opposite_bounds"]

_EXACT = 2**53
_SMALLEST = Fraction(1, 10**15)


def bounds(part: Part) -> None:
    """Rewrites `minimum`, `maximum`, and the two that are exclusive."""
    part.out.update(numeric_bounds(part.schema, part.place))


def multiple(part: Part) -> None:
    """Rewrites `multipleOf`."""
    taken = part.whole.multiples.taken(part.schema["multipleOf"], part.at("multipleOf"))
    part.out["multipleOf"] = taken


def numeric_bounds(schema: dict[str, Any], place: Place) -> dict[str, Any]:
    """The bounds of a schema, each a number.

    Args:
        schema: It; in draft 4, the exclusive ones are true or false.
        place: Where it is.

    Raises:
        SchemaFault: A bound leaves only numbers that floats do not hold exactly.
    """
    out: dict[str, Any] = {}
    for end, sign in (("inimum", 1), ("aximum", -1)):
        plain, exclusive = f"m{end}", f"exclusiveM{end}"
        found = {key: schema[key] for key in (plain, exclusive) if key in schema}
        if isinstance(found.get(exclusive), bool):
            strict = found.pop(exclusive)
            if strict and plain in found:
                found[exclusive] = found.pop(plain)
        for keyword, value in found.items():
            if value * sign > _EXACT:
                raise SchemaFault((*place, keyword), "it leaves only numbers beyond 2^53")
            if value != 0 and abs(Fraction(value)) < _SMALLEST:
                raise SchemaFault((*place, keyword), "it is too close to 0")
            if abs(value) > _EXACT:
                out.setdefault(plain, -_EXACT * sign)
            else:
                out[keyword] = int(value) if float(value).is_integer() else value
    return out


_OPPOSITES = {
    "exclusiveMaximum": "minimum",
    "exclusiveMinimum": "maximum",
    "maximum": "exclusiveMinimum",
    "minimum": "exclusiveMaximum",
}


def opposite_bounds(schema: dict[str, Any], keyword: str, place: Place) -> dict[str, Any]:
    """The bound that numbers keep which do not keep a bound of a schema.

    Args:
        schema: It.
        keyword: Which of its bounds.
        place: Where that is.

    Returns:
        One bound; none for an exclusive one of draft 4, which only says how another one is meant.

    Raises:
        SchemaFault: Floats do not hold all numbers beyond it exactly.
    """
    value, opposite = schema[keyword], _OPPOSITES[keyword]
    if isinstance(value, bool):
        return {}
    strict = schema.get(f"exclusiveM{keyword[1:]}", False)
    if keyword in ("maximum", "minimum") and strict is not False:
        if strict is not True:
            raise SchemaFault(place, "it has another bound beside it")
        opposite = opposite.replace("exclusiveM", "m")
    if abs(value) > _EXACT:
        raise SchemaFault(place, "there are only numbers beyond 2^53 that do not satisfy it")
    return numeric_bounds({opposite: value}, place)

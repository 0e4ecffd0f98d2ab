"""Bounds and multiples of numbers, in the ranges where the compiler is exact.

Numbers pass through 64-bit floats on their way, here and at whoever validates the answer: bounds
are drawn in to where floats hold every whole number, and a `multipleOf` must be one that a float
holds exactly.
"""

from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Any

from friendli_endpoint.chat.places import SchemaFault
from friendli_endpoint.chat.references import Place

__all__ = ["Multiples", "numeric_bounds"]

_EXACT = 2**53
_SMALLEST = Fraction(1, 10**15)
_MOST_MULTIPLE = 100_000


def numeric_bounds(schema: dict[str, Any], place: Place) -> dict[str, Any]:
    """The bounds of a schema, each a number.

    Raises:
        SchemaFault: A bound leaves only numbers that floats do not hold exactly.
    """
    out: dict[str, Any] = {}
    for end, sign in (("inimum", 1), ("aximum", -1)):
        plain, exclusive = f"m{end}", f"exclusiveM{end}"
        bounds = {key: schema[key] for key in (plain, exclusive) if key in schema}
        if isinstance(bounds.get(exclusive), bool):
            strict = bounds.pop(exclusive)
            if strict and plain in bounds:
                bounds[exclusive] = bounds.pop(plain)
        for keyword, value in bounds.items():
            if value * sign > _EXACT:
                raise SchemaFault((*place, keyword), "it leaves only numbers beyond 2^53")
            if value != 0 and abs(Fraction(value)) < _SMALLEST:
                raise SchemaFault((*place, keyword), "it is too close to 0")
            if abs(value) > _EXACT:
                out.setdefault(plain, -_EXACT * sign)
            else:
                out[keyword] = int(value) if float(value).is_integer() else value
    return out


class Multiples:
    """The `multipleOf`s of one schema; all may come together in one place."""

    def __init__(self) -> None:
        self._coefficient = 1
        self._scale = 1

    def taken(self, value: int | float, place: Place) -> int | float:
        """The same value, if it can be enforced together with those before it.

        Raises:
            SchemaFault: It is not exact, or the grammar would become too large.
        """
        if Fraction(value) != Fraction(str(value)):
            raise SchemaFault(
                place,
                "a 64-bit float does not hold it exactly, so validators disagree about its "
                "multiples; use whole numbers",
            )
        exact = Decimal(str(value)).normalize()
        scale = 10 ** max(0, -int(exact.as_tuple().exponent))
        self._coefficient = lcm(self._coefficient, int(exact * scale))
        self._scale = max(self._scale, scale)
        if self._coefficient * self._scale > _MOST_MULTIPLE:
            raise SchemaFault(
                place, f"the multiples in a schema must not go beyond {_MOST_MULTIPLE:,} together"
            )
        return int(value) if float(value).is_integer() else value

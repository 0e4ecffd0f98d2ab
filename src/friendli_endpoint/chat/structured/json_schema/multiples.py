"""The `multipleOf`s of a schema: those that a float holds exactly, as long as they are few."""

from decimal import Decimal
from fractions import Fraction
from math import lcm

from friendli_endpoint.chat.structured.json_schema.place import Place, SchemaFault

__all__ = ["Multiples"]

_MOST_MULTIPLE = 100_000


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

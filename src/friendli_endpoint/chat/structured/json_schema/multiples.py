"""Values of `multipleOf`: supported if they are exact as floats and small together."""

from decimal import Decimal
from fractions import Fraction
from math import lcm

from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, SchemaPath

__all__ = ["Multiples"]

_MAX_MULTIPLE = 100_000


class Multiples:
    """The values of `multipleOf` in one schema; all of them may apply to the same number."""

    def __init__(self) -> None:
        self._coefficient = 1
        self._scale = 1

    def add(self, value: int | float, path: SchemaPath) -> int | float:
        """Adds a value and returns it, as an integer if it is whole.

        Raises:
            SchemaError: It is inexact, or the grammar would become too large.
        """
        if Fraction(value) != Fraction(str(value)):
            raise SchemaError(
                path,
                "a 64-bit float does not represent it exactly, so validators disagree about its "
                "multiples; use whole numbers",
            )
        exact = Decimal(str(value)).normalize()
        scale = 10 ** max(0, -int(exact.as_tuple().exponent))
        self._coefficient = lcm(self._coefficient, int(exact * scale))
        self._scale = max(self._scale, scale)
        if self._coefficient * self._scale > _MAX_MULTIPLE:
            raise SchemaError(
                path,
                "the least common multiple of all multipleOf values, times their decimal scale, "
                f"must be at most {_MAX_MULTIPLE:,}",
            )
        return int(value) if float(value).is_integer() else value

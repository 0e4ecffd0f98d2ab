"""Values of `multipleOf`: counted in decimal, as their digits say, and bounded together."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor, gcd, lcm
from typing import Any

from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, SchemaPath
from friendli_endpoint.chat.structured.native import COMPILER_VERSION

__all__ = ["COUNTS_NEGATIVE", "Multiples", "negative_multiples"]

COUNTS_NEGATIVE = COMPILER_VERSION >= (1, 8)
"""Whether the compiler allows negative multiples. Version 1.7 is that of vLLM."""
_MAX_NEGATIVE = 500
"""Negative multiples that are listed if it does not."""

_MAX_MULTIPLE = 100_000
_MAX_COMPILED = 2**32 - 1
"""Largest number that the compiler can count in, without the decimal point."""


class Multiples:
    """The values of `multipleOf` in one schema; all of them may apply to the same number."""

    def __init__(self) -> None:
        self._coefficient = 1
        self._decimals = 0

    def add(self, value: int | float, path: SchemaPath, *, whole: bool = False) -> int | float:
        """Adds a value, and returns the one that the compiler reads as exactly this decimal.

        Args:
            value: The value; of a float, the digits that JSON writes count.
            path: Path of the keyword.
            whole: Whether only whole numbers are multiplied: then the result is whole.

        Raises:
            SchemaError: The compiler does not read it exactly, or the grammar would become too
                large.
        """
        decimal = Decimal(str(value)).normalize()
        exact = Fraction(decimal)
        if whole:
            exact = Fraction(exact.numerator)  # The least common multiple with 1.
        if not _is_read_exactly(exact):
            raise SchemaError(
                path,
                "the compiler multiplies it by 10 in floating point until it is whole, which "
                "rounding prevents for this value; use a simpler step, such as 0.01",
            )
        self._count(exact, 0 if whole else max(0, -int(decimal.as_tuple().exponent)), path)
        return int(exact) if exact.denominator == 1 else float(exact)

    def _count(self, exact: Fraction, decimals: int, path: SchemaPath) -> None:
        """Bounds the least common multiple, in units of the last decimal."""
        common = max(decimals, self._decimals)
        self._coefficient = lcm(
            self._coefficient * 10 ** (common - self._decimals), int(exact * 10**common)
        )
        self._decimals = common
        coefficient = self._coefficient // gcd(self._coefficient, 10**common)
        if coefficient * (1 + common) > _MAX_MULTIPLE:
            raise SchemaError(
                path,
                "the least common multiple of all multipleOf values, without decimal point and "
                "trailing zeros, times the number of decimals plus 1, must be at most "
                f"{_MAX_MULTIPLE:,}",
            )


def negative_multiples(step: int | float, bounds: dict[str, Any]) -> list[int | float]:
    """Returns the negative multiples of a step within some bounds, those nearest to zero first.

    Args:
        step: The step; of a float, the digits that JSON writes count.
        bounds: Bounds, each a number.

    Returns:
        At most `_MAX_NEGATIVE` of them.
    """
    exact = Fraction(str(step))
    limits = {keyword: -Fraction(str(bound)) / exact for keyword, bound in bounds.items()}
    first = 1
    if "maximum" in limits:
        first = max(first, ceil(limits["maximum"]))
    if "exclusiveMaximum" in limits:
        first = max(first, floor(limits["exclusiveMaximum"]) + 1)
    last = first + _MAX_NEGATIVE
    if "minimum" in limits:
        last = min(last, floor(limits["minimum"]) + 1)
    if "exclusiveMinimum" in limits:
        last = min(last, ceil(limits["exclusiveMinimum"]))
    multiples = [-exact * factor for factor in range(first, last)]
    return [int(value) if value.denominator == 1 else float(value) for value in multiples]


def _is_read_exactly(exact: Fraction) -> bool:
    """Whether the compiler turns the nearest float into exactly this decimal."""
    if exact > _MAX_COMPILED:
        return False
    value, decimals = float(exact), 0
    while not value.is_integer():
        value *= 10
        decimals += 1
        if value > _MAX_COMPILED:
            return False
    return value <= _MAX_COMPILED and Fraction(int(value), 10**decimals) == exact

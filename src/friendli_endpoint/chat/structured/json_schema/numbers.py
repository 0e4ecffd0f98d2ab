"""Bounds of numbers, restricted to the range where the compiler is exact.

Numbers pass through 64-bit floats, here and in the client's validator: bounds are narrowed to the
range where floats represent every whole number.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

from friendli_endpoint.chat.structured.json_schema.multiples import (
    COUNTS_NEGATIVE,
    negative_multiples,
)
from friendli_endpoint.chat.structured.json_schema.node import SchemaNode
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, SchemaPath

__all__ = [
    "bounds",
    "exact_bounds",
    "is_read_exactly",
    "multiple",
    "negated_bounds",
    "numeric_bounds",
    "whole_bounds",
]

_MAX_EXACT = 2**53
_MIN_MAGNITUDE = Fraction(1, 10**15)
_MAX_POWER = 22
"""Exponent of the largest power of ten that is an exact float."""
_INWARD = {1: Context(prec=15, rounding=ROUND_CEILING), -1: Context(prec=15, rounding=ROUND_FLOOR)}
"""Rounding of lower and of upper bounds. All numbers of 15 digits are exact floats once the decimal
point is removed."""


def bounds(node: SchemaNode) -> None:
    """Rewrites `minimum`, `maximum`, `exclusiveMinimum` and `exclusiveMaximum`."""
    found = numeric_bounds(node.schema, node.path)
    node.out.update(found if "number" in node.types else whole_bounds(found))


def multiple(node: SchemaNode) -> None:
    """Rewrites `multipleOf`."""
    value, path = node.schema["multipleOf"], node.at("multipleOf")
    kind = "number" if "number" in node.types else "integer"
    step = node.context.multiples.add(value, path, whole=kind == "integer")
    if COUNTS_NEGATIVE:
        node.out["multipleOf"] = step
        return
    branches: list[dict[str, Any]] = [{"multipleOf": step, "minimum": 0}]
    if negative := negative_multiples(step, numeric_bounds(node.schema, node.path)):
        branches.append({"enum": negative})
    node.add_any_of_type(kind, branches)


def numeric_bounds(schema: dict[str, Any], path: SchemaPath) -> dict[str, Any]:
    """Rewrites the bounds of a schema so that each is a number.

    Args:
        schema: The schema; in draft 4, the exclusive bounds are true or false.
        path: Path of the schema.

    Raises:
        SchemaError: A bound allows only numbers that floats do not represent exactly.
    """
    out: dict[str, Any] = {}
    for end, sign in (("inimum", 1), ("aximum", -1)):
        inclusive, exclusive = f"m{end}", f"exclusiveM{end}"
        found = {key: schema[key] for key in (inclusive, exclusive) if key in schema}
        if isinstance(found.get(exclusive), bool):
            is_exclusive = found.pop(exclusive)
            if is_exclusive and inclusive in found:
                found[exclusive] = found.pop(inclusive)
        for keyword, value in found.items():
            if value * sign > _MAX_EXACT:
                raise SchemaError(
                    (*path, keyword), "it allows only numbers beyond 2^53, where floats are inexact"
                )
            if value != 0 and abs(Fraction(value)) < _MIN_MAGNITUDE:
                raise SchemaError((*path, keyword), "its magnitude must be 0, or at least 10^-15")
            if abs(value) > _MAX_EXACT:
                out.setdefault(inclusive, -_MAX_EXACT * sign)
            else:
                out[keyword] = int(value) if float(value).is_integer() else value
    return exact_bounds(out)


def exact_bounds(found: dict[str, Any]) -> dict[str, Any]:
    """Returns the same bounds, read exactly, and inclusive ones instead of exclusive whole ones.

    The compiler allows 3 in the range of `{"exclusiveMinimum": 3, "maximum": 3.5}`, which it may
    have combined from several schemas. So the bound becomes the next number of 15 digits.
    """
    out = {
        keyword: _inward(bound, 1 if "inimum" in keyword else -1)
        for keyword, bound in found.items()
    }
    for keyword, inclusive, sign, tighter in (
        ("exclusiveMinimum", "minimum", 1, max),
        ("exclusiveMaximum", "maximum", -1, min),
    ):
        bound = out.get(keyword)
        if bound is None or bound * sign < 0 or not float(bound).is_integer():
            continue
        del out[keyword]
        exact, context = Decimal(bound), _INWARD[sign]
        next_number = exact.next_plus(context) if sign > 0 else exact.next_minus(context)
        following = _plain(next_number) if bound else float(_MIN_MAGNITUDE) * sign
        out[inclusive] = tighter(following, out.get(inclusive, following))
    return out


def is_read_exactly(value: int | float) -> bool:
    """Whether the compiler reads a number, within 2^53, as the nearest float.

    It divides all digits of a number, as one integer, by a power of ten: both must be exact floats.
    """
    if isinstance(value, int):
        return True
    number = Decimal(repr(value))
    exponent = int(number.as_tuple().exponent)
    return abs(exponent) <= _MAX_POWER and abs(number.scaleb(-exponent)) <= _MAX_EXACT


def _inward(bound: int | float, sign: int) -> int | float:
    """Returns a bound, or the next one within the range that the compiler reads exactly."""
    if is_read_exactly(bound):
        return bound
    number, context = _INWARD[sign].plus(Decimal(repr(bound))), _INWARD[sign]
    if int(number.as_tuple().exponent) < -_MAX_POWER:
        number = number.quantize(Decimal(1).scaleb(-_MAX_POWER), context=context)
    return _plain(number)


def _plain(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def whole_bounds(found: dict[str, Any]) -> dict[str, Any]:
    """Returns the same bounds of whole numbers, whole and inclusive.

    Before version 1.9 the compiler reports a range without whole numbers only between such bounds
    as one that no value satisfies.
    """
    low = [ceil(found["minimum"])] if "minimum" in found else []
    low += [floor(found["exclusiveMinimum"]) + 1] if "exclusiveMinimum" in found else []
    high = [floor(found["maximum"])] if "maximum" in found else []
    high += [ceil(found["exclusiveMaximum"]) - 1] if "exclusiveMaximum" in found else []
    return {
        **({"minimum": max(low)} if low else {}),
        **({"maximum": min(high)} if high else {}),
    }


_OPPOSITES = {
    "exclusiveMaximum": "minimum",
    "exclusiveMinimum": "maximum",
    "maximum": "exclusiveMinimum",
    "minimum": "exclusiveMaximum",
}


def negated_bounds(schema: dict[str, Any], keyword: str, path: SchemaPath) -> dict[str, Any]:
    """Returns the bound of the numbers that violate a bound of a schema.

    Args:
        schema: The schema.
        keyword: The keyword of the bound.
        path: Path of the bound.

    Returns:
        One bound; none for an exclusive bound of draft 4, which only modifies another bound.

    Raises:
        SchemaError: Floats do not represent all numbers beyond it exactly.
    """
    value, opposite = schema[keyword], _OPPOSITES[keyword]
    if isinstance(value, bool):
        return {}
    exclusive = schema.get(f"exclusiveM{keyword[1:]}", False)
    if keyword in ("maximum", "minimum") and exclusive is not False:
        if exclusive is not True:
            raise SchemaError(
                path, f"it must not be combined with exclusiveM{keyword[1:]} inside a negation"
            )
        opposite = opposite.replace("exclusiveM", "m")
    if abs(value) > _MAX_EXACT:
        raise SchemaError(
            path, "its complement has only numbers beyond 2^53, where floats are inexact"
        )
    return numeric_bounds({opposite: value}, path)

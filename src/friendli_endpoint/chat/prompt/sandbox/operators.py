"""Operators, slices and comparisons."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from jinja2.runtime import Undefined

from friendli_endpoint.chat.prompt.sandbox.attributes import type_name
from friendli_endpoint.chat.prompt.sandbox.formats import percent_formatted
from friendli_endpoint.chat.prompt.sandbox.meter import (
    MAX_BITS,
    POINTER,
    SandboxError,
    charged,
    check_size,
)
from friendli_endpoint.chat.prompt.sandbox.values import SCALARS, as_text, joined, measure

__all__ = ["COMPARISONS", "compare", "computed", "concatenated", "number", "sliced"]

_NUMBERS = (int, float)
_SEQUENCES = (str, list, tuple)
_ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
COMPARISONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gteq": operator.ge,
    "lt": operator.lt,
    "lteq": operator.le,
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}
"""Comparisons by their names in Jinja's syntax tree."""


def computed(name: str, left: Any, right: Any) -> Any:
    """Returns the result of an arithmetic operator of two values."""
    if name == "**":
        raise SandboxError("the chat template computes a power, which is not allowed")
    if isinstance(left, Undefined) or isinstance(right, Undefined):
        return _ARITHMETIC[name](left, right)  # raises an error that names the variable
    if name == "%" and isinstance(left, str):
        return percent_formatted(left, right)
    if isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS):
        return charged(_ARITHMETIC[name](number(left), number(right)))
    if name == "+" and any(
        isinstance(left, kind) and isinstance(right, kind) for kind in _SEQUENCES
    ):
        return charged(left + right)
    if name == "*":
        if isinstance(left, _SEQUENCES) and isinstance(right, int):
            return _repeated(left, right)
        if isinstance(left, int) and isinstance(right, _SEQUENCES):
            return _repeated(right, left)
    raise TypeError(
        f"unsupported operand types for {name}: {type_name(left)!r} and {type_name(right)!r}"
    )


def number(value: Any) -> Any:
    """Returns a number that is small enough to compute with."""
    if not isinstance(value, _NUMBERS):
        raise TypeError(f"a number is needed, not {type_name(value)!r}")
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise SandboxError(
            f"the chat template computes with an integer of more than {MAX_BITS} bits"
        )
    return value


def _repeated(value: Any, times: int) -> Any:
    check_size(len(value) * times * (1 if isinstance(value, str) else POINTER))
    return charged(value * times)


def concatenated(*values: Any) -> str:
    """Returns the texts of values, joined; the operator `~`."""
    return joined("", [as_text(value) for value in values])


def sliced(value: Any, start: Any, stop: Any, step: Any) -> Any:
    """Returns a slice of a value."""
    return charged(value[start:stop:step])


def compare(left: Any, *comparisons: Any) -> Any:
    """Returns the result of a chain of comparisons.

    Args:
        left: The first value.
        comparisons: Alternately the name of a comparison and the next value.
    """
    result: Any = True
    for name, right in zip(comparisons[::2], comparisons[1::2], strict=True):
        if type(left) not in SCALARS:
            measure(left)
        if type(right) not in SCALARS:
            measure(right)
        result = COMPARISONS[name](left, right)
        if not result:
            break
        left = right
    return result

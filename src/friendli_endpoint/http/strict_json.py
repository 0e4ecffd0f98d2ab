"""A check of strict JSON that validation lacks, and paths in a body."""

import math
import re
from collections.abc import Sequence
from typing import Any

from friendli_endpoint.generation import RequestError

__all__ = ["JsonPath", "check_finite", "path_of"]

_MAY_BE_INFINITE = re.compile(rb"NaN|Infinity|[0-9]{200}|[eE]\+?[0-9]{2}")
"""Matches every body with a non-finite number: 199 digits and a one-digit exponent are finite."""

JsonPath = tuple[int | str, ...]
"""Keys and indices that lead to a value in a body."""


def check_finite(body: bytes, wire: Any) -> None:
    """Rejects numbers that are not finite, in any field.

    Args:
        body: Valid JSON.
        wire: The decoded values of `body`.

    Raises:
        RequestError: With the `param` of the first such number.
    """
    if _MAY_BE_INFINITE.search(body):
        _check_finite(wire, ())


def path_of(keys: Sequence[int | str]) -> str:
    """Returns a path in the body as text, such as `messages[0].content`."""
    path = ""
    for key in keys:
        path += f"[{key}]" if isinstance(key, int) else f".{key}" if path else key
    return path


def _check_finite(wire: object, path: JsonPath) -> None:
    if isinstance(wire, dict):
        for name, value in wire.items():
            _check_finite(value, (*path, name))
    elif isinstance(wire, list):
        for index, item in enumerate(wire):
            _check_finite(item, (*path, index))
    elif isinstance(wire, float) and not math.isfinite(wire):
        param = path_of(path)
        message = f"{param}: must be a finite number"
        raise RequestError(message, param=param, code="out_of_range")

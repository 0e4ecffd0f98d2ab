"""Strict JSON checks that validation lacks: finite numbers, and only the wire names of fields."""

import math
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from friendli_endpoint.generation import RequestError

__all__ = ["check_strict_json", "path_of"]

_MAY_BE_INFINITE = re.compile(rb"NaN|Infinity|[0-9]{200}|[eE]\+?[0-9]{2}")
"""Matches every body with a non-finite number: 199 digits and a one-digit exponent are finite."""

JsonPath = tuple[int | str, ...]
"""Keys and indices that lead to a value in a body."""


def check_strict_json(body: bytes, wire: Any, parsed: BaseModel) -> None:
    """Rejects fields under their Python names, and numbers that are not finite.

    Args:
        body: Valid JSON.
        wire: The decoded values of `body`.
        parsed: The validated body.

    Raises:
        RequestError: With the `param` of the first such field.
    """
    _check_names(parsed, wire, ())
    if _MAY_BE_INFINITE.search(body):
        _check_finite(wire, ())


def path_of(keys: Sequence[int | str]) -> str:
    """Returns a path in the body as text, such as `messages[0].content`."""
    path = ""
    for key in keys:
        path += f"[{key}]" if isinstance(key, int) else f".{key}" if path else key
    return path


def _check_names(parsed: object, wire: Any, path: JsonPath) -> None:
    """Checks names: programs may write `ROLE`; on the wire the field is `role`, and required."""
    if isinstance(parsed, BaseModel):
        for name, field in type(parsed).model_fields.items():
            alias = field.alias or name
            if alias in wire:
                _check_names(getattr(parsed, name), wire[alias], (*path, alias))
            elif name in wire:
                param = path_of((*path, alias))
                message = f"{param}: this field is required"
                raise RequestError(message, param=param, status=422, code="missing_field")
    elif isinstance(parsed, list) and parsed and isinstance(parsed[0], BaseModel):
        for index, (item, wire_item) in enumerate(zip(parsed, wire, strict=True)):
            _check_names(item, wire_item, (*path, index))


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

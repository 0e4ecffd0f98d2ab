"""What validation lets pass though it is no good JSON, or not what the interface calls it."""

import math
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from friendli_endpoint.generation import RequestError

__all__ = ["check_strictly", "path_of"]

_MAY_BE_ENDLESS = re.compile(rb"NaN|Infinity|[0-9]{200}|[eE]\+?[0-9]{2}")
"""Is in every body with a number beyond all floats: 199 digits and an exponent of one are not."""

Place = tuple[int | str, ...]
"""The steps that lead to a value in a body."""


def check_strictly(body: bytes, wire: Any, parsed: BaseModel) -> None:
    """Refuses fields under the names that only Python knows, and numbers that are not finite.

    Args:
        body: Valid JSON.
        wire: Its values.
        parsed: What validation made of it.

    Raises:
        RequestError: With the field.
    """
    _check_names(parsed, wire, ())
    if _MAY_BE_ENDLESS.search(body):
        _check_finite(wire, ())


def path_of(place: Sequence[int | str]) -> str:
    """A path in the body, such as `messages[0].content`."""
    path = ""
    for step in place:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def _check_names(parsed: object, wire: Any, place: Place) -> None:
    """The wire types let programs write `ROLE`; on the wire it is `role`, and required."""
    if isinstance(parsed, BaseModel):
        for name, field in type(parsed).model_fields.items():
            known = field.alias or name
            if known in wire:
                _check_names(getattr(parsed, name), wire[known], (*place, known))
            elif name in wire:
                param = path_of((*place, known))
                message = f"{param}: this field is required"
                raise RequestError(message, param=param, status=422, code="missing_field")
    elif isinstance(parsed, list) and parsed and isinstance(parsed[0], BaseModel):
        for index, (item, sent) in enumerate(zip(parsed, wire, strict=True)):
            _check_names(item, sent, (*place, index))


def _check_finite(wire: object, place: Place) -> None:
    if isinstance(wire, dict):
        for name, each in wire.items():
            _check_finite(each, (*place, name))
    elif isinstance(wire, list):
        for index, each in enumerate(wire):
            _check_finite(each, (*place, index))
    elif isinstance(wire, float) and not math.isfinite(wire):
        param = path_of(place)
        message = f"{param}: must be a finite number"
        raise RequestError(message, param=param, code="out_of_range")

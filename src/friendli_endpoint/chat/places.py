"""Where in a schema something is wrong, and how that is said to the client."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from friendli_endpoint.chat.references import Place
from friendli_endpoint.generation import Refusal

__all__ = ["SchemaFault", "innermost", "path_of"]

_MOST_ATTEMPTS = 200


class SchemaFault(Exception):
    """A part of a schema that is wrong, or cannot be enforced.

    Args:
        place: The keyword at fault.
        reason: Why.
        invalid: Whether it is no JSON Schema, rather than one that cannot be enforced.
    """

    def __init__(self, place: Place, reason: str, *, invalid: bool = False) -> None:
        super().__init__(reason)
        self.place = place
        self.reason = reason
        self.invalid = invalid

    def refusal(self, param: str) -> Refusal:
        """What the client is told.

        Args:
            param: Where the schema is in the request.
        """
        path = path_of(param, self.place)
        if self.invalid:
            return Refusal(f"{path} is not valid: {self.reason}", param=path, code="invalid_schema")
        return Refusal(
            f"{path} cannot be enforced: {self.reason}", param=path, code="unsupported_schema"
        )


def path_of(param: str, place: Place) -> str:
    """A place as a path such as `schema.properties.a.items[0].not`."""
    for step in place:
        if isinstance(step, int):
            param += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z_$][\w$-]*", step):
            param += f".{step}"
        else:
            param += f"[{json.dumps(step)}]"
    return param


def innermost(
    parts: Sequence[tuple[Place, dict[str, Any]]], failing: Callable[[dict[str, Any]], bool]
) -> Place:
    """The place of the innermost schema that fails by itself.

    Args:
        parts: Schemas with their places, outer ones first.
        failing: Whether a schema fails; asked a bounded number of times.
    """
    place: Place = ()
    attempts = 0
    for inner, part in parts:
        if len(inner) > len(place) and inner[: len(place)] == place and attempts < _MOST_ATTEMPTS:
            attempts += 1
            if failing(part):
                place = inner
    return place

"""Where in a schema something is, and that it is wrong there."""

import json
import re

from friendli_endpoint.generation import RequestError

__all__ = ["Place", "SchemaFault", "definition_name", "definition_pointer", "path_of"]

Place = tuple[str | int, ...]
"""Steps from the root of a schema: keywords, names of properties, indexes."""

_DEFINITIONS = "#/$defs/"


def definition_pointer(name: str) -> str:
    """The `$ref` to a definition of a rewritten schema."""
    return f"{_DEFINITIONS}{name}"


def definition_name(pointer: object) -> str:
    """The name of the definition that a rewritten `$ref` points to; `#` for the root."""
    return str(pointer).removeprefix(_DEFINITIONS)


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

    def refusal(self, param: str) -> RequestError:
        """What the client is told.

        Args:
            param: Where the schema is in the request.
        """
        path = path_of(param, self.place)
        if self.invalid:
            return RequestError(
                f"{path} is not valid: {self.reason}", param=path, code="invalid_schema"
            )
        return RequestError(
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

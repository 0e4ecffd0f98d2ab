"""Paths in a schema, and errors at a path."""

import json
import re

from friendli_endpoint.generation import RequestError

__all__ = ["SchemaError", "SchemaPath", "definition_name", "definition_pointer", "format_path"]

SchemaPath = tuple[str | int, ...]
"""Keys from the root of a schema: keywords, property names, and indexes of lists."""

_DEFINITIONS = "#/$defs/"


def definition_pointer(name: str) -> str:
    """Returns the `$ref` to a definition of a rewritten schema."""
    return f"{_DEFINITIONS}{name}"


def definition_name(pointer: object) -> str:
    """Returns the name of the definition that a rewritten `$ref` points to; `#` for the root."""
    return str(pointer).removeprefix(_DEFINITIONS)


class SchemaError(Exception):
    """An invalid or unsupported keyword or subschema.

    Args:
        path: Path of the keyword or subschema.
        reason: The cause, as a clause about the keyword ("it must be a number").
        invalid: Whether it violates JSON Schema or a size limit, rather than being valid but
            unsupported.
    """

    def __init__(self, path: SchemaPath, reason: str, *, invalid: bool = False) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason
        self.invalid = invalid

    def to_request_error(self, param: str) -> RequestError:
        """Converts to the error that the client receives.

        Args:
            param: Path of the schema in the request.
        """
        full_path = format_path(param, self.path)
        if self.invalid:
            return RequestError(
                f"{full_path} is not valid: {self.reason}", param=full_path, code="invalid_schema"
            )
        return RequestError(
            f"{full_path} cannot be enforced: {self.reason}",
            param=full_path,
            code="unsupported_schema",
        )


def format_path(param: str, path: SchemaPath) -> str:
    """Formats a path, for example as `schema.properties.a.items[0].not`."""
    for key in path:
        if isinstance(key, int):
            param += f"[{key}]"
        elif re.fullmatch(r"[A-Za-z_$][\w$-]*", key):
            param += f".{key}"
        else:
            param += f"[{json.dumps(key)}]"
    return param

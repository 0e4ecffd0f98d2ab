"""The arguments of a tool one by one, for formats that do not write them as one JSON object.

Such formats can express an object whose schema describes each property separately. A schema that
also constrains the object as a whole (alternatives, dependencies) is unsupported, because the
output would not always be valid. Only properties named in the schema are written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from friendli_endpoint.chat.tools.family import ToolSpec
from friendli_endpoint.generation import RequestError

__all__ = [
    "ANNOTATIONS",
    "Field",
    "Raw",
    "check_name",
    "fields_of",
    "raw_of",
    "unsupported_name",
    "with_definitions",
]

_MAX_NAME = 256
"""Maximum number of characters of an argument's name."""

_OBJECT_KEYWORDS = frozenset({"additionalProperties", "properties", "required", "type"})
ANNOTATIONS = frozenset(
    {
        *("$comment", "$defs", "$id", "$schema", "default", "definitions", "deprecated"),
        *("description", "example", "examples", "readOnly", "title", "writeOnly"),
    }
)
_STRING_KEYWORDS = frozenset({"const", "enum", "maxLength", "minLength", "type"})


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a tool's arguments.

    Attributes:
        name: The property's name.
        schema: The property's schema, self-contained.
        required: Whether the property is required.
    """

    name: str
    schema: Mapping[str, Any]
    required: bool


@dataclass(frozen=True, slots=True)
class Raw:
    """Strings that can be written without quotes and escapes.

    Attributes:
        texts: The allowed texts; if empty, any text is allowed.
        min_length: Minimum number of characters.
        max_length: Maximum number of characters, or None.
    """

    texts: Sequence[str]
    min_length: int
    max_length: int | None


def fields_of(tool: ToolSpec) -> Sequence[Field]:
    """Returns the properties of a tool's arguments, in the schema's order.

    Raises:
        RequestError: The schema constrains the object in a way that a list of properties cannot.
    """
    root = tool.parameters
    schema = _resolved(root, root)
    for keyword in schema:
        if keyword not in _OBJECT_KEYWORDS | ANNOTATIONS:
            raise _unsupported(tool, f"the keyword {keyword} at the top of a tool's schema")
    named: Mapping[str, Any] = schema.get("properties", {})
    required: Sequence[str] = schema.get("required", ())
    others = schema.get("additionalProperties", True)
    fields = [
        Field(name, with_definitions(subschema, root), name in required)
        for name, subschema in named.items()
        if subschema is not False
    ]
    known = {field.name for field in fields}
    for name in dict.fromkeys(required):
        if name not in known:
            if name in named or others is False:
                raise _unsupported(
                    tool, f"the required property {name}, for which no value is allowed,"
                )
            fields.append(Field(name, with_definitions(others, root), required=True))
    return fields


def raw_of(schema: Mapping[str, Any]) -> Raw | None:
    """Returns the texts that a schema allows, if it allows only strings with simple constraints.

    Returns:
        None if values have to be written as JSON.
    """
    schema = _resolved(schema, schema)
    if not set(schema) <= _STRING_KEYWORDS | ANNOTATIONS or {"const", "enum"} <= set(schema):
        return None
    listed = [schema["const"]] if "const" in schema else schema.get("enum", [])
    if schema.get("type", "string" if listed else None) != "string":
        return None
    bounded = "minLength" in schema or "maxLength" in schema
    if listed and (bounded or not all(isinstance(value, str) for value in listed)):
        return None
    return Raw(listed, schema.get("minLength", 0), schema.get("maxLength"))


def unsupported_name(field: Field) -> RequestError:
    """Returns an error for an argument whose name the format cannot express."""
    return RequestError(
        f"the argument name {field.name!r} is not supported in this model's tool-call format",
        param="tools",
        code="unsupported_schema",
    )


def check_name(field: Field, excluded: frozenset[str]) -> None:
    """Checks that a format can express the name of an argument.

    Args:
        field: The argument.
        excluded: Characters that no name may have.

    Raises:
        RequestError: The name has an excluded character, or not 1 to 256 characters.
    """
    if not excluded.isdisjoint(field.name) or not 0 < len(field.name) <= _MAX_NAME:
        raise unsupported_name(field)


def with_definitions(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns a subschema together with the definitions of its root."""
    own = schema if isinstance(schema, dict) else {}
    definitions = {name: root[name] for name in ("$defs", "definitions") if name in root}
    return {**definitions, **own}


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the target of a schema that is nothing but a reference, else the schema itself."""
    for _ in range(16):
        steps = str(schema.get("$ref", "")).split("/")
        if set(schema) - ANNOTATIONS != {"$ref"} or len(steps) != 3 or steps[0] != "#":
            break
        target = root.get(steps[1], {}).get(steps[2])
        if not isinstance(target, dict):
            break
        schema = target
    return schema


def _unsupported(tool: ToolSpec, what: str) -> RequestError:
    return RequestError(
        f"{what} cannot be enforced in this model's tool-call format (tool {tool.name})",
        param="tools",
        code="unsupported_schema",
    )

"""The arguments of a tool one by one, for forms that do not write them as one JSON object.

Such forms can carry an object whose schema says of each property what it may be. A schema that says
more of the object as a whole (alternatives, dependencies) is refused: what could be written would
not always be valid. Only properties that the schema names are written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from friendli_endpoint.chat.tools.family import ToolSpec
from friendli_endpoint.generation import RequestError

__all__ = ["Field", "Raw", "fields_of", "name_refusal", "raw_of"]

_SAID_OF_PROPERTIES = frozenset({"additionalProperties", "properties", "required", "type"})
_NOTES = frozenset(
    {
        *("$comment", "$defs", "$id", "$schema", "default", "definitions", "deprecated"),
        *("description", "example", "examples", "readOnly", "title", "writeOnly"),
    }
)
_SAID_OF_STRINGS = frozenset({"const", "enum", "maxLength", "minLength", "type"})


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a tool's arguments.

    Attributes:
        name: The property's name.
        schema: What it may be; refers to nothing outside.
        required: Whether it must be there.
    """

    name: str
    schema: Mapping[str, Any]
    required: bool


@dataclass(frozen=True, slots=True)
class Raw:
    """Strings that can be written as they are.

    Attributes:
        texts: The only ones; any text where it is empty.
        least: Fewest characters.
        most: Most characters, or None.
    """

    texts: Sequence[str]
    least: int
    most: int | None


def fields_of(tool: ToolSpec) -> Sequence[Field]:
    """The properties of a tool's arguments, in the schema's order.

    Raises:
        RequestError: The schema says something of the object that no list of properties can keep.
    """
    root = tool.parameters
    schema = _resolved(root, root)
    for keyword in schema:
        if keyword not in _SAID_OF_PROPERTIES | _NOTES:
            raise _refusal(tool, f"{keyword} at the top of a tool's schema")
    named: Mapping[str, Any] = schema.get("properties", {})
    required: Sequence[str] = schema.get("required", ())
    others = schema.get("additionalProperties", True)
    fields = [
        Field(name, _whole(each, root), name in required)
        for name, each in named.items()
        if each is not False
    ]
    known = {field.name for field in fields}
    for name in dict.fromkeys(required):
        if name not in known:
            if name in named or others is False:
                raise _refusal(tool, f"{name} is required, but nothing is allowed for it, which")
            fields.append(Field(name, _whole(others, root), required=True))
    return fields


def raw_of(schema: Mapping[str, Any]) -> Raw | None:
    """The texts that a schema allows, where it allows strings only and says little of them.

    Returns:
        None where values have to be written as JSON.
    """
    schema = _resolved(schema, schema)
    if not set(schema) <= _SAID_OF_STRINGS | _NOTES or {"const", "enum"} <= set(schema):
        return None
    listed = [schema["const"]] if "const" in schema else schema.get("enum", [])
    if schema.get("type", "string" if listed else None) != "string":
        return None
    bounded = "minLength" in schema or "maxLength" in schema
    if listed and (bounded or not all(isinstance(each, str) for each in listed)):
        return None
    return Raw(listed, schema.get("minLength", 0), schema.get("maxLength"))


def name_refusal(field: Field) -> RequestError:
    """That a form cannot carry an argument because of its name."""
    return RequestError(
        f"the argument {field.name!r} has a name that this model's tool calls cannot carry",
        param="tools",
        code="unsupported_schema",
    )


def _whole(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema in a schema, with what it refers to."""
    here = schema if isinstance(schema, dict) else {}
    carried = {name: root[name] for name in ("$defs", "definitions") if name in root}
    return {**carried, **here}


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that a reference stands for, where it is nothing but a reference."""
    for _ in range(16):
        steps = str(schema.get("$ref", "")).split("/")
        if set(schema) - _NOTES != {"$ref"} or len(steps) != 3 or steps[0] != "#":
            break
        target = root.get(steps[1], {}).get(steps[2])
        if not isinstance(target, dict):
            break
        schema = target
    return schema


def _refusal(tool: ToolSpec, what: str) -> RequestError:
    return RequestError(
        f"{what} cannot be enforced in the form of this model's tool calls (tool {tool.name})",
        param="tools",
        code="unsupported_schema",
    )

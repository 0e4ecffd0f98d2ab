"""JSON Schemas of types whose values a model writes: all that satisfies one can be parsed.

The schemas of pydantic describe what a program may send. Some of it cannot be parsed: an object of
a union without its tag, the name `x` in `dict[int, str]`, a time zone in a `NaiveDatetime`. Here
such schemas are narrowed; all others are those of pydantic. What only Python code checks, such as a
validator, is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pydantic
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

_DIGITS = "(?:0|[1-9][0-9]*)"
_DECIMAL = rf"^-?{_DIGITS}(?:\.[0-9]+)?$"
_NAMES: dict[str, dict[str, Any]] = {
    "boolean": {"enum": ["true", "false"]},
    "integer": {"pattern": rf"^-?{_DIGITS}$"},
    "number": {"pattern": _DECIMAL},
}
"""Names of properties from which pydantic parses a key of a JSON type."""
_COMPLEX = r"^-?[0-9]+(?:\.[0-9]+)?(?:[+-][0-9]+(?:\.[0-9]+)?j)?$"
_DURATION = "^P(?:T?[0-9]{1,4}[YMWDHS])+$"
"""Numbers of five digits may exceed the range of `timedelta`."""
_STRIPPED = r"^\S(?:[\s\S]*\S)?$"
_HOST = "[A-Za-z][A-Za-z0-9]*(?:[.-][A-Za-z][A-Za-z0-9]*)*"
_BOUNDS = {
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maximum",
    "minimum",
    "multipleOf",
}
_MAX_EXACT_DIGITS = 15


def answer_schema(adapter: pydantic.TypeAdapter[Any]) -> dict[str, Any]:
    """Return the JSON Schema of the values that a model may write for a type."""
    schema = adapter.json_schema(schema_generator=_AnswerSchema)
    _name_members(schema)
    _require_tags(schema)
    return schema


def argument_schema(adapter: pydantic.TypeAdapter[Any]) -> dict[str, Any]:
    """Return the schema of the arguments of a tool, where lists may become sets by parsing.

    Few servers enforce `uniqueItems` in tools, and a set does not need it.
    """
    schema = answer_schema(adapter)
    for inner in _subschemas(schema):
        if inner.get("uniqueItems") is True and inner.get("minItems", 0) <= 1:
            del inner["uniqueItems"]
    return schema


class _AnswerSchema(GenerateJsonSchema):
    """Generator of schemas that describe no value that cannot be parsed."""

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        out = super().dict_schema(schema)
        if "patternProperties" in out:
            out.setdefault("additionalProperties", False)
        elif "keys_schema" in schema and "propertyNames" not in out:
            names = _names_of(self.generate_inner(schema["keys_schema"]))
            if names is not None:
                out["propertyNames"] = names
        return out

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        out = super().decimal_schema(schema)
        branches = out.get("anyOf", [])
        numbers = (branch for branch in branches if branch.get("type") == "number")
        number: JsonSchemaValue | None = next(numbers, None)
        if number is None:
            return out
        places, digits = schema.get("decimal_places"), schema.get("max_digits")
        if digits is not None and places is None:
            places = digits // 2
        if places is not None:
            number.setdefault("multipleOf", float(f"1e-{places}") if places else 1)
        if digits is not None and places is not None and digits - places <= _MAX_EXACT_DIGITS:
            limit = 10 ** max(digits - places, 0)
            if number.get("exclusiveMaximum", number.get("maximum", limit)) >= limit:
                number["exclusiveMaximum"] = limit
            if number.get("exclusiveMinimum", number.get("minimum", -limit)) <= -limit:
                number["exclusiveMinimum"] = -limit
        if _BOUNDS & number.keys():
            return number
        return {
            **out,
            "anyOf": [
                {**branch, "pattern": _DECIMAL} if branch.get("type") == "string" else branch
                for branch in branches
            ],
        }

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        out = super().datetime_schema(schema)
        if schema.get("tz_constraint") == "naive":
            out["format"] = "date-time-local"
        return out

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        out = super().timedelta_schema(schema)
        if out.get("format") == "duration":
            out.setdefault("pattern", _DURATION)
        return out

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        out = super().str_schema(schema)
        if schema.get("strip_whitespace") and schema.get("min_length"):
            out.setdefault("pattern", _STRIPPED)
        return out

    def url_schema(self, schema: core_schema.UrlSchema) -> JsonSchemaValue:
        out = super().url_schema(schema)
        schemes = schema.get("allowed_schemes")
        if schemes:
            out.setdefault("pattern", rf"^(?:{'|'.join(schemes)})://{_HOST}(?:[/?#][!-~]*)?$")
        return out

    def json_schema(self, schema: core_schema.JsonSchema) -> JsonSchemaValue:
        out = super().json_schema(schema)
        content = out.get("contentSchema", {})
        if content.get("type") in _NAMES:
            out.update(_NAMES[content["type"]])
        elif out.get("type") == "string":
            out.setdefault("format", "json-string")
        return out

    def complex_schema(self, schema: core_schema.ComplexSchema) -> JsonSchemaValue:
        return {**super().complex_schema(schema), "pattern": _COMPLEX}


def _names_of(keys: JsonSchemaValue) -> dict[str, Any] | bool | None:
    """Return the schema of the names from which keys of a schema are parsed; None if it is this."""
    if {"const", "enum"} & keys.keys():
        listed = keys["enum"] if "enum" in keys else [keys["const"]]
        texts = [value for value in listed if isinstance(value, str)]
        return {"enum": texts} if texts else False
    if keys.get("type") in ("array", "object", "null"):
        return False
    kinds = [branch.get("type") for branch in keys.get("anyOf", [keys])]
    return next((dict(_NAMES[kind]) for kind in kinds if kind in _NAMES), None)


def _name_members(schema: dict[str, Any]) -> None:
    """Replace an enumeration that is the schema of names by the names of its members."""
    definitions = schema.get("$defs", {})
    for inner in _subschemas(schema):
        names = inner.get("propertyNames")
        if isinstance(names, dict) and isinstance(names.get("$ref"), str):
            target = definitions.get(names["$ref"].rpartition("/")[2], {})
            values = target.get("enum", [target.get("const")])
            if target.get("type") == "integer":
                inner["propertyNames"] = {"enum": [str(value) for value in values]}
            elif not all(isinstance(value, str) for value in values):
                inner["propertyNames"] = _names_of({"enum": values})


def _require_tags(schema: dict[str, Any]) -> None:
    """Require the tag in each branch of a union, also where it has a default.

    Of a union without discriminator, that is each property with constants and a default: without
    it, the first type that fits is parsed, which need not be the one that was meant.
    """
    definitions = schema.get("$defs", {})
    for union in [*_subschemas(schema)]:
        branches = [*_objects_of(union, definitions)]
        if len(branches) < 2:
            continue
        tag = union.get("discriminator", {}).get("propertyName")
        for branch in branches:
            named: dict[str, Any] = branch.get("properties", {})
            tags = [tag] if tag in named else [name for name in named if _is_tag(named[name])]
            missing = [name for name in tags if name not in branch.get("required", ())]
            if missing:
                branch["required"] = [*branch.get("required", ()), *missing]


def _is_tag(schema: Any) -> bool:
    return isinstance(schema, dict) and "default" in schema and bool({"const", "enum"} & {*schema})


def _objects_of(
    union: dict[str, Any], definitions: dict[str, Any], depth: int = 0
) -> Iterator[dict[str, Any]]:
    """Yield the schemas of objects in a union, and in the unions that it consists of."""
    for branch in (*union.get("anyOf", ()), *union.get("oneOf", ())):
        target = branch
        if isinstance(branch.get("$ref"), str):
            target = definitions.get(branch["$ref"].rpartition("/")[2], {})
        if "properties" in target:
            yield target
        elif depth < 16:
            yield from _objects_of(target, definitions, depth + 1)


def _subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield a schema and all schemas in it; constants and defaults are none."""
    if not isinstance(schema, dict):
        return
    yield schema
    for keyword, value in schema.items():
        if keyword in ("$defs", "properties", "patternProperties"):
            for inner in value.values():
                yield from _subschemas(inner)
        elif keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
            for inner in value:
                yield from _subschemas(inner)
        elif keyword in ("items", "additionalProperties", "propertyNames"):
            yield from _subschemas(value)

"""Realistic JSON schemas: of pydantic, zod, OpenAPI, TypeScript, and written by hand."""

from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

__all__ = ["D4", "D6", "D7", "D2019", "D2020", "SCHEMAS"]

D4 = "http://json-schema.org/draft-04/schema#"
D6 = "http://json-schema.org/draft-06/schema#"
D7 = "http://json-schema.org/draft-07/schema#"
D2019 = "https://json-schema.org/draft/2019-09/schema"
D2020 = "https://json-schema.org/draft/2020-12/schema"


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Address(BaseModel):
    street: str = Field(min_length=1, max_length=40)
    zip: Annotated[str, Field(pattern=r"^\d{5}(-\d{4})?$")]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=0, le=9)


class Dog(BaseModel):
    kind: Literal["dog", "wolf"]
    weight: float = Field(gt=0, lt=100.5)


class Node(BaseModel):
    name: str
    children: "list[Node]" = []


class Person(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    age: int | None = None
    colour: Colour = Colour.RED
    address: Address
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = Field(max_length=3)
    scores: dict[str, float] = {}
    born: date
    seen: datetime | None = None
    pair: tuple[int, str]
    tree: Node | None = None


def closed(**properties: Any) -> dict[str, Any]:
    """Returns the schema of an object with all of these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


STRING, INTEGER = {"type": "string"}, {"type": "integer"}

SCHEMAS: dict[str, dict[str, Any]] = {
    "pydantic": Person.model_json_schema(),
    "pydantic recursive": Node.model_json_schema(),
    "pydantic union": TypeAdapter(Annotated[Cat | Dog, Field(discriminator="kind")]).json_schema(),
    "pydantic 1": {
        "title": "Order",
        "type": "object",
        "properties": {
            "id": {"title": "Id", "type": "integer"},
            "item": {"$ref": "#/definitions/Item"},
            "note": {"title": "Note", "default": "", "allOf": [{"$ref": "#/definitions/Note"}]},
        },
        "required": ["id", "item"],
        "definitions": {
            "Item": {"title": "Item", "type": "object", "properties": {"sku": STRING}},
            "Note": {"title": "Note", "enum": ["a", "b"], "type": "string"},
        },
    },
    "zod": {
        "$schema": D2020,
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid", "pattern": "^[0-9a-fA-F-]{36}$"},
            "email": {"type": "string", "format": "email"},
            "n": {"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991},
            "tags": {"minItems": 1, "maxItems": 4, "type": "array", "items": STRING},
            "record": {
                "type": "object",
                "propertyNames": STRING,
                "additionalProperties": {"type": "number"},
            },
            "maybe": {"anyOf": [STRING, {"type": "null"}]},
            "tuple": {"type": "array", "prefixItems": [STRING, INTEGER], "items": False},
        },
        "required": ["id", "email", "n", "tags", "record"],
        "additionalProperties": False,
    },
    "openapi": {
        "type": "object",
        "nullable": True,
        "discriminator": {"propertyName": "kind"},
        "required": ["id", "count"],
        "properties": {
            "id": {"type": "integer", "format": "int64", "example": 3, "readOnly": True},
            "count": {"type": "integer", "format": "int32", "minimum": 0},
            "ratio": {"type": "number", "format": "double", "nullable": True},
            "when": {"type": "string", "format": "date-time", "deprecated": True},
            "secret": {"type": "string", "format": "password", "minLength": 8, "maxLength": 12},
            "ref": {"$ref": "#/components/schemas/Thing"},
        },
        "components": {"schemas": {"Thing": {"type": "object", "properties": {"a": STRING}}}},
    },
    "typescript": {
        "$schema": D7,
        "$ref": "#/definitions/Shape",
        "definitions": {
            "Shape": {
                "anyOf": [
                    {"$ref": "#/definitions/Circle"},
                    {"$ref": "#/definitions/Square"},
                ]
            },
            "Circle": closed(kind={"type": "string", "const": "circle"}, r={"type": "number"}),
            "Square": closed(kind={"type": "string", "const": "square"}, a={"type": "number"}),
        },
    },
    "discriminated": {
        "oneOf": [closed(type={"const": "a"}, x=INTEGER), closed(type={"const": "b"}, y=STRING)]
    },
    "told apart by names": {
        "type": "object",
        "oneOf": [
            {"required": ["a"], "properties": {"a": STRING}, "additionalProperties": False},
            {"required": ["b"], "properties": {"b": STRING}, "additionalProperties": False},
        ],
    },
    "draft 4": {
        "$schema": D4,
        "id": "http://example.com/root.json",
        "type": "object",
        "properties": {
            "low": {"type": "number", "minimum": 3, "exclusiveMinimum": True},
            "high": {"type": "integer", "maximum": 5, "exclusiveMaximum": True},
            "both": {"type": "number", "minimum": 0.5, "maximum": 1, "exclusiveMaximum": True},
        },
        "required": ["low", "high", "both"],
    },
    "draft 7 tuples": {
        "$schema": D7,
        "type": "array",
        "items": [INTEGER, {"type": "boolean"}],
        "additionalItems": {"type": "string", "maxLength": 3},
        "minItems": 2,
        "maxItems": 4,
    },
    "anchors": {
        "$schema": D2020,
        "$id": "https://example.com/tree",
        "$ref": "#node",
        "$defs": {
            "node": {
                "$anchor": "node",
                **closed(value=INTEGER, next={"anyOf": [{"$ref": "#node"}, {"type": "null"}]}),
            }
        },
    },
    "ids": {
        "$id": "https://example.com/a/root.json",
        "type": "object",
        "properties": {"x": {"$ref": "other.json"}, "y": {"$ref": "other.json#/$defs/deep"}},
        "required": ["x", "y"],
        "$defs": {
            "o": {"$id": "other.json", "type": "integer", "$defs": {"deep": {"type": "boolean"}}}
        },
    },
    "escaped pointers": {
        "type": "array",
        "items": {"anyOf": [{"$ref": "#/$defs/a~1b"}, {"$ref": "#/$defs/c%20d~0"}]},
        "minItems": 1,
        "$defs": {"a/b": INTEGER, "c d~": {"type": "boolean"}},
    },
    "siblings of $ref": {
        "$ref": "#/$defs/base",
        "properties": {"b": INTEGER},
        "required": ["b"],
        "$defs": {"base": {"type": "object", "properties": {"a": STRING}, "required": ["a"]}},
    },
    "names like keywords": closed(
        **{"not": STRING, "type": INTEGER, "$ref": STRING, "if": {"type": "null"}, "oneOf": STRING}
    ),
    "odd names": closed(**{"": STRING, 'a"b': INTEGER, "é ü": INTEGER, "a\\b": INTEGER, "/": {}}),
    "escapes": {
        "type": "object",
        "properties": {"a": INTEGER, "b\nc": INTEGER},
        "required": ["a"],
        "additionalProperties": STRING,
    },
    "patterns of names": {
        "type": "object",
        "properties": {"x_id": {"maximum": 5}},
        "patternProperties": {"^x_": INTEGER, "^y[0-9]$": {"type": "boolean"}},
        "additionalProperties": False,
    },
    "map by enum": {
        "type": "object",
        "propertyNames": {"enum": ["en", "de"]},
        "additionalProperties": STRING,
    },
    "map by pattern": {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Z]{2}$"},
        "additionalProperties": INTEGER,
        "maxProperties": 3,
    },
    "map by length": {"type": "object", "propertyNames": {"minLength": 2, "maxLength": 3}},
    "at least one": {
        "type": "object",
        "properties": {"a": STRING, "b": STRING},
        "additionalProperties": False,
        "minProperties": 1,
    },
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"minimum": 2}}, "required": ["a"]},
            {"properties": {"a": {"type": "number", "maximum": 3.5}, "b": STRING}},
        ],
        "properties": {"c": True},
        "required": ["c"],
    },
    "any of both": {
        "type": "object",
        "properties": {"k": STRING},
        "anyOf": [{"required": ["k"]}, {"required": ["v"], "properties": {"v": INTEGER}}],
        "oneOf": [{"properties": {"z": {"const": 1}}, "required": ["z"]}],
    },
    "unevaluated": {
        "type": "object",
        "properties": {"a": STRING},
        "unevaluatedProperties": False,
        "required": ["a"],
    },
    "numbers": {
        "type": "array",
        "prefixItems": [
            {"type": "number", "minimum": -1.5, "maximum": 2.25},
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            {"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 100},
            {"type": "number", "multipleOf": 0.25, "maximum": 10},
            {"type": "integer", "maximum": 9223372036854775807, "minimum": -9223372036854775808},
            {"type": "number", "maximum": 1.7976931348623157e308, "exclusiveMaximum": 5},
            {"type": ["integer", "null"], "exclusiveMaximum": -3},
        ],
        "items": False,
        "minItems": 7,
    },
    "constants": {
        "type": "array",
        "items": {"enum": [1, 1.5, "x", None, True, [], {"a": [1, "é"]}, "\n", 1e3, -0.0, ""]},
        "minItems": 2,
        "maxItems": 5,
    },
    "formats": closed(
        **{
            name: {"type": "string", "format": name}
            for name in ("date", "date-time", "time", "duration", "email", "hostname", "ipv4")
        }
    ),
    "more formats": closed(
        **{
            name: {"type": "string", "format": name}
            for name in ("ipv6", "uuid", "uri", "uri-reference", "json-pointer", "byte")
        }
    ),
    "rare formats": closed(
        **{
            name: {"type": "string", "format": name}
            for name in ("regex", "uri-template", "relative-json-pointer", "color", "semver", "url")
        }
    ),
    "no secrets": {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "b", "c"]}, "n": {"type": ["integer", "string"]}},
        "required": ["kind"],
        "not": {
            "required": ["n"],
            "properties": {"kind": {"const": "a"}, "n": {"type": "string", "maxLength": 2}},
        },
        "propertyNames": {},
        "additionalProperties": {"not": {"enum": ["", "x", 1, None, True]}},
    },
    "one after another": {
        "type": "object",
        "properties": {"country": {"type": "string", "maxLength": 3}, "zip": STRING, "n": INTEGER},
        "required": ["country"],
        "if": {"properties": {"country": {"const": "US"}}},
        "then": {"properties": {"zip": {"pattern": "^[0-9]{5}$"}}, "required": ["zip"]},
        "else": {"properties": {"n": {"minimum": 10}}},
        "additionalProperties": False,
    },
    "dependencies": {
        "$schema": D7,
        "type": "object",
        "properties": {"card": STRING, "address": STRING, "a": INTEGER, "b": INTEGER},
        "dependencies": {
            "card": ["address"],
            "a": {"properties": {"b": {"minimum": 3}}, "required": ["b"]},
        },
    },
    "one of several keys": {
        "type": "object",
        "properties": {"text": STRING, "url": STRING, "size": {"type": "number"}},
        "oneOf": [{"required": ["text"]}, {"required": ["url"]}],
    },
    "branches with much in common": {
        "$schema": D4,
        "oneOf": [{"$ref": "#/definitions/point"}, {"$ref": "#/definitions/line"}],
        "definitions": {
            "point": {
                "properties": {"type": {"enum": ["Point"]}, "at": {"$ref": "#/definitions/at"}}
            },
            "line": {
                "type": "object",
                "properties": {
                    "type": {"enum": ["Line"]},
                    "at": {"type": "array", "items": {"$ref": "#/definitions/at"}},
                },
            },
            "at": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
        },
    },
    "something in it": {
        "type": "object",
        "properties": {"a": INTEGER, "b": STRING},
        "minProperties": 1,
    },
    "searched patterns": {
        "type": "array",
        "items": {
            "anyOf": [
                {"type": "string", "pattern": r"\d\s\w", "maxLength": 8},
                {"type": "string", "pattern": r"^\S+$|^$", "maxLength": 5},
                {"type": "string", "pattern": r"[^\w\s]$", "maxLength": 5},
            ]
        },
        "minItems": 2,
        "maxItems": 3,
    },
    "nothing asked": {"title": "anything", "default": 3, "uniqueItems": False, "not-a-keyword": 1},
    "several types": {
        "type": ["object", "array", "string", "null"],
        "maxLength": 2,
        "maxItems": 1,
        "properties": {"a": INTEGER},
        "additionalProperties": False,
    },
    "chart": {
        "$schema": D7,
        "type": "object",
        "required": ["title", "series", "axes"],
        "properties": {
            "title": {"type": "string", "minLength": 1, "maxLength": 30},
            "axes": closed(x={"$ref": "#/definitions/axis"}, y={"$ref": "#/definitions/axis"}),
            "series": {
                "type": "array",
                "minItems": 1,
                "maxItems": 3,
                "items": closed(
                    label=STRING,
                    points={
                        "type": "array",
                        "maxItems": 3,
                        "items": {
                            "type": "array",
                            "items": [{"type": "number"}, {"type": "number"}],
                            "minItems": 2,
                            "additionalItems": False,
                        },
                    },
                    style={"enum": ["line", "bar", None]},
                ),
            },
        },
        "definitions": {
            "axis": {
                "type": "object",
                "properties": {"log": {"type": "boolean"}, "unit": {"type": ["string", "null"]}},
                "additionalProperties": False,
            }
        },
        "additionalProperties": False,
    },
    "pipeline": {
        "$schema": D2019,
        "type": "object",
        "properties": {
            "version": {"const": 2},
            "env": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
            "jobs": {
                "type": "object",
                "patternProperties": {
                    "^[a-z][a-z0-9_-]{0,8}$": closed(
                        image={"type": "string", "pattern": "^[a-z]+(:[a-z0-9.]+)?$"},
                        steps={
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 2,
                            "items": {
                                "oneOf": [
                                    {"type": "string", "maxLength": 10},
                                    closed(run={"type": "string", "maxLength": 10}),
                                    closed(uses={"type": "string", "maxLength": 10}),
                                ]
                            },
                        },
                    )
                },
                "additionalProperties": False,
                "minProperties": 1,
            },
        },
        "required": ["version", "jobs"],
    },
    "expression": {
        "$ref": "#/$defs/expression",
        "$defs": {
            "expression": {
                "oneOf": [
                    {"type": "number"},
                    {"$ref": "#/$defs/call"},
                    {"type": "array", "items": {"$ref": "#/$defs/expression"}, "maxItems": 2},
                ]
            },
            "call": closed(
                op={"enum": ["+", "-"]},
                args={"type": "array", "items": {"$ref": "#/$defs/expression"}, "maxItems": 2},
            ),
        },
    },
}
"""Schemas by name; all of them can be enforced."""

"""Grammar of the values in Gemma's calls: like JSON, with bare keys, and strings between markers.

Values of a schema with other keywords than those of simple types are written as JSON.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from friendli_endpoint.chat.tools.family import Marker
from friendli_endpoint.chat.tools.fields import (
    ANNOTATIONS,
    Field,
    raw_of,
    unsupported_name,
    with_definitions,
)
from friendli_endpoint.chat.tools.lark import choice, json_value, quoted
from friendli_endpoint.chat.tools.xml_values import ValueGrammar

__all__ = ["NOT_IN_NAMES", "GemmaGrammar"]

NOT_IN_NAMES = frozenset(" \t\r\n:,{}[]<>\"'")
_KEY = r"/[^ \t\r\n:,{}\[\]<>\"']{1,256}/"
_DEFINITIONS = frozenset({"$defs", "definitions"})
_ARRAY_KEYWORDS = frozenset({"type", "items", "minItems", "maxItems"})
_OBJECT_KEYWORDS = frozenset({"type", "properties", "required", "additionalProperties"})
_TEXT: Mapping[str, Any] = {"type": "string"}


class GemmaGrammar:
    """Builds Lark expressions of values.

    Args:
        quote: Marker before and after a string.
        marker: Returns the Lark form of a marker.
    """

    def __init__(self, quote: str, marker: Marker) -> None:
        self._quote = marker(quote)
        self._texts = ValueGrammar(quote, marker, lines=False)
        self._rules: dict[str, str] = {}
        self._targets: dict[tuple[str, int, int], str] = {}

    @property
    def rules(self) -> str:
        """Definitions of the rules and terminals used by the expressions so far."""
        return (
            "".join(f"{name}: {body}\n" for name, body in self._rules.items())
            + self._texts.terminals
        )

    def members(self, fields: Iterable[Field]) -> str:
        """Returns an expression of an object with these properties, sorted by name.

        Raises:
            RequestError: The format cannot express a name.
        """
        ordered = sorted(fields, key=lambda field: field.name.lower())
        for field in ordered:
            if not _is_name(field.name):
                raise unsupported_name(field)
        # Each rule is the rest of the object, from the property with its index on.
        base = f"members_{len(self._rules)}"
        self._rules[f"{base}_first_0"] = self._rules[f"{base}_more_0"] = ""
        for index, field in enumerate(ordered):
            member = self._rule(f"{quoted(f'{field.name}:')} {self.of(field.schema)}")
            rest, skipped = f"{base}_more_{index + 1}", f"{base}_first_{index + 1}"
            skip = "" if field.required else f" | {skipped}"
            self._rules[f"{base}_first_{index}"] = f"{member} {rest}{skip}"
            optional = "" if field.required else "?"
            self._rules[f"{base}_more_{index}"] = f'("," {member}){optional} {rest}'
        last = len(ordered)
        self._rules[f"{base}_first_{last}"] = self._rules[f"{base}_more_{last}"] = '"}"'
        return f'"{{" {base}_first_0'

    def of(self, schema: Mapping[str, Any]) -> str:
        """Returns an expression of the values that a schema, with its definitions, allows."""
        keywords = set(schema) - ANNOTATIONS
        raw = raw_of(schema)
        if raw is not None:
            return f"{self._quote} {self._texts.of(Field('a value', schema, required=True))}"
        if not keywords:
            return self._anything()
        if keywords == {"$ref"}:
            return self._target(schema)
        if keywords == {"anyOf"}:
            return choice(self.of(with_definitions(part, schema)) for part in schema["anyOf"])
        kind = schema.get("type")
        if isinstance(kind, list):
            return choice(self.of({**schema, "type": name}) for name in kind)
        if kind == "array" and keywords <= _ARRAY_KEYWORDS:
            return self._array(schema)
        if kind == "object" and keywords <= _OBJECT_KEYWORDS:
            return self._object(schema)
        return _json(schema)

    def _rule(self, expression: str) -> str:
        """Returns the name of a rule for an expression that is used more than once."""
        name = f"part_{len(self._rules)}"
        self._rules[name] = expression
        return name

    def _target(self, schema: Mapping[str, Any]) -> str:
        """Returns the rule of the target of a reference, which may refer to itself."""
        definitions = (id(schema.get("$defs")), id(schema.get("definitions")))
        key = (str(schema["$ref"]), *definitions)
        if key not in self._targets:
            steps = schema["$ref"].split("/")
            target = schema.get(steps[1], {}).get(steps[2]) if len(steps) == 3 else None
            if not isinstance(target, dict):
                return _json(schema)
            name = self._targets[key] = f"target_{len(self._targets)}"
            self._rules[name] = ""
            self._rules[name] = self.of(with_definitions(target, schema))
        return self._targets[key]

    def _array(self, schema: Mapping[str, Any]) -> str:
        items = schema.get("items", {})
        min_items, max_items = schema.get("minItems", 0), schema.get("maxItems")
        if items is False or max_items == 0:
            return '"[" "]"' if min_items == 0 else _json(schema)
        item = self._rule(self.of(with_definitions(items, schema)))
        upper = "" if max_items is None else max_items - 1
        listed = f'{item} ("," {item}){{{max(min_items - 1, 0)},{upper}}}'
        return f'"[" {listed} "]"' if min_items else f'"[" ({listed})? "]"'

    def _object(self, schema: Mapping[str, Any]) -> str:
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        required = schema.get("required", ())
        named = {name: part for name, part in properties.items() if part is not False}
        if not set(required) <= set(named) or not all(map(_is_name, named)):
            return _json(schema)
        if named or others is False:
            return self.members(
                Field(name, with_definitions(part, schema), name in required)
                for name, part in named.items()
            )
        if others is True or not set(others) - ANNOTATIONS:
            return self._anything("any_object")
        return self._pairs(self.of(with_definitions(others, schema)))

    def _anything(self, kind: str = "anything") -> str:
        """Returns the rule of any value, or of any object."""
        if "anything" not in self._rules:
            number = json_value({"type": "number"})
            word = '"true" | "false" | "null"'
            self._rules["anything"] = f"any_text | {number} | {word} | any_list | any_object"
            self._rules["any_text"] = self.of(_TEXT)
            self._rules["any_list"] = '"[" (anything ("," anything)*)? "]"'
            self._rules["any_object"] = self._pairs("anything")
        return kind

    def _pairs(self, value: str) -> str:
        self._rules["KEY"] = _KEY
        pair = self._rule(f'KEY ":" {value}')
        return f'"{{" ({pair} ("," {pair})*)? "}}"'


def _json(schema: Mapping[str, Any]) -> str:
    """Returns an expression of JSON, with definitions only if the schema refers to any."""
    own = {name: part for name, part in schema.items() if name not in _DEFINITIONS}
    return json_value(schema if '"$ref"' in json.dumps(own) else own)


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 256 and NOT_IN_NAMES.isdisjoint(text)

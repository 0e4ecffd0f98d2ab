"""Random instances of a schema, most of them valid, and changed copies, most of them invalid.

They follow the schema, not the rewriting that they test. Properties are in the order of the schema.
"""

import copy
from collections.abc import Iterator
from decimal import Decimal, localcontext
from random import Random
from typing import Any

from benchmarks.endpoint.schemas.texts import matching_text

__all__ = ["changed", "instances"]

_MAX_DEPTH = 6
_PRECISION = 700
"""Digits of quotients: of the largest 64-bit float by the smallest."""
_TEXTS = ("x", "text", "Zürich", "a b", "", "name-1", "42")
_FORMATS = {
    "date": ("2024-02-29", "1999-12-31"),
    "date-time": ("2024-02-29T23:59:59Z", "2025-01-01T00:00:00.123+02:00"),
    "duration": ("P1D", "PT2H30M"),
    "email": ("ann@example.org", "a.b+c@mail.example.com"),
    "hostname": ("example.org", "localhost"),
    "ipv4": ("127.0.0.1", "8.8.8.8"),
    "ipv6": ("::1", "2001:db8::8"),
    "json-pointer": ("/a/0", ""),
    "regex": ("^a+$", "[0-9]{3}"),
    "time": ("12:30:00Z", "00:00:00.5+01:00"),
    "uri": ("https://example.org/a?b=c#d", "mailto:ann@example.org"),
    "uri-reference": ("/a/b", "https://example.org"),
    "uuid": ("123e4567-e89b-42d3-a456-426614174000",),
}


def instances(schema: dict[str, Any], seed: int, count: int) -> Iterator[Any]:
    """Yields values that a schema gives as examples, then random ones.

    Args:
        schema: The schema.
        seed: Seed of the random values.
        count: Number of random values.
    """
    rng = Random(seed)
    generator = _Generator(schema, rng)
    for example in _examples(schema):
        yield generator.ordered(example, schema, 0)
    for _ in range(count):
        yield generator.value(schema, 0)


def changed(value: Any, rng: Random) -> Any:
    """Returns a copy with one random change: another type, or a missing or an additional part."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        rest = {name: item for name, item in value.items() if name != key}
        match rng.randrange(3):
            case 0:
                return rest
            case 1:
                return {**value, "unknown property": rng.choice(_TEXTS)}
        return {**value, key: changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        index = rng.randrange(len(value))
        match rng.randrange(3):
            case 0:
                return value[:index] + value[index + 1 :]
            case 1:
                return [*value, value[index]]
        return [*value[:index], changed(value[index], rng), *value[index + 1 :]]
    if isinstance(value, str) and rng.random() < 0.6:
        return rng.choice((value + "!", value[:-1], value.upper(), f" {value}"))
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.6:
        return rng.choice((-value - 1, value + 0.5, value * 1000 + 1, value + 0.001))
    return rng.choice((None, True, 7, -0.5, "other", [], {}))


def _examples(schema: dict[str, Any]) -> list[Any]:
    found = schema.get("examples", [])
    return [
        *(found if isinstance(found, list) else []),
        *(schema[key] for key in ("example", "default") if key in schema),
    ]


class _Generator:
    def __init__(self, root: dict[str, Any], rng: Random) -> None:
        self._root = root
        self._rng = rng

    def value(self, schema: Any, depth: int) -> Any:
        """Returns a value that satisfies most keywords."""
        if not isinstance(schema, dict):
            return self._rng.choice(_TEXTS)
        schema = self._flat(schema, 0)
        if "const" in schema:
            return copy.deepcopy(schema["const"])
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return copy.deepcopy(self._rng.choice(schema["enum"]))
        if (examples := _examples(schema)) and self._rng.random() < 0.2:
            return self.ordered(copy.deepcopy(self._rng.choice(examples)), schema, depth)
        match self._type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer" | "number" as kind:
                return self._number(schema, kind == "integer")
            case "boolean":
                return self._rng.random() < 0.5
        return None

    def ordered(self, value: Any, schema: Any, depth: int) -> Any:
        """Returns a value with its properties in the order in which a schema names them."""
        if depth > _MAX_DEPTH:
            return value
        if isinstance(value, list):
            parts = [part["items"] for part in self._parts(schema, 0) if "items" in part]
            items = next((part for part in parts if isinstance(part, dict)), None)
            return [self.ordered(item, items, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        named: dict[str, Any] = {}
        for part in self._parts(schema, 0):
            properties = part.get("properties")
            for name, inner in (properties if isinstance(properties, dict) else {}).items():
                named.setdefault(name, inner)
        names = [name for name in named if name in value]
        names += [name for name in value if name not in named]
        return {name: self.ordered(value[name], named.get(name), depth + 1) for name in names}

    def _parts(self, schema: Any, depth: int) -> Iterator[dict[str, Any]]:
        """Yields a schema and those that apply to the same value, or might."""
        if not isinstance(schema, dict) or depth > _MAX_DEPTH:
            return
        yield schema
        applied = [self._target(schema.get("$ref"))]
        for key in ("allOf", "anyOf", "oneOf"):
            applied += schema[key] if isinstance(schema.get(key), list) else []
        for part in applied:
            yield from self._parts(part, depth + 1)

    def _flat(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        """Merges the schemas that apply to the same value, one of each choice."""
        out = {key: item for key, item in schema.items() if key not in _APPLIED}
        if depth > _MAX_DEPTH:
            return out
        parts = [self._target(schema.get("$ref"))]
        if isinstance(schema.get("allOf"), list):
            parts += schema["allOf"]
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), list) and schema[key]:
                parts.append(self._rng.choice(schema[key]))
        for part in parts:
            if isinstance(part, dict):
                _merge(out, self._flat(part, depth + 1))
        return out

    def _target(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        value: Any = self._root
        for step in reference.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def _type(self, schema: dict[str, Any]) -> str:
        kind = schema.get("type")
        if isinstance(kind, list) and kind:
            return str(self._rng.choice(kind))
        if isinstance(kind, str):
            return kind
        for key, implied in _IMPLIED.items():
            if key in schema:
                return implied
        return self._rng.choice(("string", "integer", "object", "null"))

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        required = required if isinstance(required, list) else []
        share = 0.0 if depth >= _MAX_DEPTH else self._rng.choice((0.0, 0.3, 0.7))
        out = {
            name: self.value(item, depth + 1)
            for name, item in (properties.items() if isinstance(properties, dict) else ())
            if name in required or self._rng.random() < share
        }
        rest = schema.get("additionalProperties")
        for name in required:
            if name not in out and isinstance(name, str):
                out[name] = self.value(rest, depth + 1)
        if isinstance(rest, dict) and depth < _MAX_DEPTH:
            for name in sorted(self._rng.sample(("a", "b", "key"), self._rng.randrange(3))):
                out.setdefault(name, self.value(rest, depth + 1))
        return out

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        items = schema.get("items", {})
        first = schema.get("prefixItems", items if isinstance(items, list) else [])
        low = _count(schema, "minItems", 0)
        high = max(low, min(_count(schema, "maxItems", low + 2), low + 2))
        length = low if depth >= _MAX_DEPTH else self._rng.randint(low, high)
        rest = schema.get("additionalItems", {}) if isinstance(items, list) else items
        length = min(max(length, len(first)), 200)
        return [
            self.value(first[index] if index < len(first) else rest, depth + 1)
            for index in range(length)
        ]

    def _string(self, schema: dict[str, Any]) -> str:
        if isinstance(schema.get("pattern"), str):
            text = matching_text(schema["pattern"], self._rng) or self._rng.choice(_TEXTS)
        else:
            text = self._rng.choice(_FORMATS.get(str(schema.get("format")), _TEXTS))
        low = _count(schema, "minLength", 0)
        text += "x" * min(low - len(text), 5_000)
        return text[: _count(schema, "maxLength", len(text))]

    def _number(self, schema: dict[str, Any], is_integer: bool) -> int | float:
        step = schema.get("multipleOf", 1 if is_integer else 0.25)
        step = Decimal(str(step)) if _is_number(step) and step else Decimal(1)
        low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
        with localcontext() as context:
            context.prec = _PRECISION
            return self._multiple(step, low, high)

    def _multiple(self, step: Decimal, low: Decimal | None, high: Decimal | None) -> int | float:
        start = low if low is not None else (high - 10 * step if high is not None else Decimal(0))
        value = (start // step + self._rng.randint(0, 5)) * step
        if high is not None and value > high:
            value = high // step * step
        exact = value if abs(value) < 10**15 else Decimal(0)
        return int(exact) if exact == exact.to_integral_value() else float(exact)


_APPLIED = ("$ref", "allOf", "anyOf", "oneOf")
_IMPLIED = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "items": "array",
    "pattern": "string",
    "format": "string",
    "minLength": "string",
    "minimum": "number",
    "maximum": "number",
}


def _merge(out: dict[str, Any], part: dict[str, Any]) -> None:
    for key, value in part.items():
        if key == "properties" and isinstance(value, dict):
            out[key] = {**out.get(key, {}), **value}
        elif key == "required" and isinstance(value, list):
            out[key] = [*out.get(key, []), *value]
        else:
            out.setdefault(key, value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(schema: dict[str, Any], keyword: str, default: int) -> int:
    value = schema.get(keyword, default)
    return int(value) if _is_number(value) and value >= 0 else default


def _bound(schema: dict[str, Any], keyword: str) -> Decimal | None:
    """Returns a bound; of an exclusive one, a number a little inside it."""
    inside = 1 if keyword == "minimum" else -1
    exclusive = schema.get(f"exclusive{keyword.capitalize()}")
    if _is_number(exclusive):
        return Decimal(str(exclusive)) + inside
    value = schema.get(keyword)
    if not _is_number(value):
        return None
    return Decimal(str(value)) + (inside if exclusive is True else 0)

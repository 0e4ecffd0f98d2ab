"""JSON schemas of `response_format` and of tools: bounded, made fit for the compiler, explained.

The compiler (llguidance) enforces what it takes and refuses the rest. Three things stand between:
bounds on size and nesting; `oneOf`, which it does not know, is rewritten as `anyOf` where no value
can satisfy two branches; and its refusals, which name a keyword, get the place of that keyword.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from friendli_endpoint.generation import Refusal

__all__ = ["MOST_CHARACTERS", "MOST_NESTING", "Place", "explained", "prepared"]

MOST_CHARACTERS = 512 * 1024
MOST_NESTING = 100

Place = tuple[str, ...]
"""Steps from the root of a schema to a keyword in it."""

_SUBSCHEMA = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")

_SCALARS = (str, int, float, bool, type(None))


def prepared(schema: object, param: str) -> dict[str, Any]:
    """The schema as the compiler takes it.

    Args:
        schema: What the request holds.
        param: Where it is in the request.

    Raises:
        Refusal: It is no object or too large, or a `oneOf` may hold for two branches at once.
    """
    if not isinstance(schema, dict):
        raise Refusal(f"{param} must be a JSON object", param=param, code="invalid_schema")
    if _nesting(schema) > MOST_NESTING:
        raise Refusal(
            f"{param} must not be nested deeper than {MOST_NESTING} levels",
            param=param,
            code="invalid_schema",
        )
    if len(json.dumps(schema)) > MOST_CHARACTERS:
        raise Refusal(
            f"{param} must have at most {MOST_CHARACTERS:,} characters",
            param=param,
            code="invalid_schema",
        )
    rewritten: dict[str, Any] = _without_one_of(schema, schema, (), param)
    return rewritten


def explained(message: str, schema: dict[str, Any], param: str) -> Refusal:
    """The compiler's refusal, with the place of the keyword that it names.

    Args:
        message: What the compiler says.
        schema: The schema it says it of.
        param: Where the schema is in the request.
    """
    reason = " ".join(message.split())[:300]
    place = _place_of(message, schema)
    path = _path(param, place)
    return Refusal(f"{path} cannot be enforced: {reason}", param=path, code="unsupported_schema")


def _place_of(message: str, schema: dict[str, Any]) -> Place:
    named = re.search(r'Unimplemented keys: \["([^"]+)"', message)
    if named:
        return _first(schema, lambda keyword, _: keyword == named[1])
    named = re.search(r"Unknown format: (.+)", message)
    if named:
        return _first(schema, lambda keyword, value: (keyword, value) == ("format", named[1]))
    named = re.search(r"regex parse error:\s*\n\s*(.+)\n", message)
    if named:
        pattern = named[1].strip()
        return _first(
            schema,
            lambda keyword, value: (
                (keyword == "pattern" and pattern in str(value))
                or (keyword == "patternProperties" and any(pattern in name for name in value))
            ),
        )
    named = re.search(r"(?:Pointer|Resource|Anchor) '([^']+)'", message)
    if named:
        return _first(schema, lambda keyword, value: keyword == "$ref" and named[1] in str(value))
    named = re.search(r"for '([A-Za-z]+)'|^([a-z][A-Za-z]+) (?:must|is|\()", message)
    if named:
        word = named[1] or named[2]
        return _first(schema, lambda keyword, _: keyword == word)
    named = re.search(r"Invalid type: (.+)", message)
    if named:
        return _first(schema, lambda keyword, value: keyword == "type" and named[1] in str(value))
    return ()


def _first(schema: dict[str, Any], found: Any) -> Place:
    for place, each in _schemas(schema, ()):
        for keyword, value in each.items():
            if found(keyword, value):
                return (*place, keyword)
    return ()


def _schemas(schema: object, place: Place) -> Iterator[tuple[Place, dict[str, Any]]]:
    """A schema and all schemas in it, each with its place; names of properties are no keywords."""
    if not isinstance(schema, dict):
        return
    yield place, schema
    for keyword, value in schema.items():
        for steps, each in _subschemas(keyword, value):
            yield from _schemas(each, (*place, keyword, *steps))


def _subschemas(keyword: str, value: object) -> Iterator[tuple[Place, object]]:
    if keyword in _MAPS and isinstance(value, dict):
        for name, each in value.items():
            yield (name,), each
    elif keyword in (*_LISTS, *_SUBSCHEMA) and isinstance(value, list):
        for index, each in enumerate(value):
            yield (str(index),), each
    elif keyword in _SUBSCHEMA:
        yield (), value


def _path(param: str, place: Place) -> str:
    for step in place:
        param += f"[{step}]" if step.isdecimal() else f".{step}"
    return param


def _nesting(value: object) -> int:
    """How deep lists and objects are nested, found without recursion."""
    deepest, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        deepest += 1
        level = [
            child for each in level for child in (each.values() if isinstance(each, dict) else each)
        ]
    return deepest


def _without_one_of(schema: Any, root: Mapping[str, Any], place: Place, param: str) -> Any:
    """The same schema with every `oneOf` written as `anyOf`, where that means the same."""
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = {}
    for keyword, value in schema.items():
        children = dict(_subschemas(keyword, value))
        here = (*place, keyword)
        if isinstance(value, list) and children:
            value = [
                _without_one_of(each, root, (*here, str(index)), param)
                for index, each in enumerate(value)
            ]
        elif () in children:
            value = _without_one_of(value, root, here, param)
        elif children:
            value = {
                name: _without_one_of(each, root, (*here, name), param)
                for name, each in value.items()
            }
        out[keyword] = value
    branches = out.get("oneOf")
    if isinstance(branches, list) and branches:
        if not _disjoint(branches, root):
            path = _path(param, (*place, "oneOf"))
            raise Refusal(
                f"{path} cannot be enforced: it is not plain that no value satisfies two of its "
                "branches; give them a property with a different const each, or use anyOf",
                param=path,
                code="unsupported_schema",
            )
        del out["oneOf"]
        if "anyOf" in out:
            out.setdefault("allOf", [])
            out["allOf"] = [*out["allOf"], {"anyOf": branches}]
        else:
            out["anyOf"] = branches
    return out


def _disjoint(branches: list[Any], root: Mapping[str, Any]) -> bool:
    """Whether no value can satisfy two of these schemas, as far as that is plain to see."""
    seen = [_resolved(each, root) for each in branches]
    return all(_apart(a, b, root) for index, a in enumerate(seen) for b in seen[index + 1 :])


def _apart(a: Any, b: Any, root: Mapping[str, Any]) -> bool:
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return False
    types_a, types_b = _types(a), _types(b)
    if types_a and types_b and not (types_a & types_b):
        return True
    values_a, values_b = _values(a), _values(b)
    if values_a is not None and values_b is not None:
        return not (values_a & values_b)
    if types_a != {"object"} or types_b != {"object"}:
        return False
    required = set(a.get("required", ())) & set(b.get("required", ()))
    for name in required:
        inner = [_resolved(each.get("properties", {}).get(name), root) for each in (a, b)]
        if all(isinstance(each, dict) for each in inner) and _apart_values(*inner):
            return True
    return False


def _apart_values(a: dict[str, Any], b: dict[str, Any]) -> bool:
    values_a, values_b = _values(a), _values(b)
    if values_a is not None and values_b is not None:
        return not (values_a & values_b)
    types_a, types_b = _types(a), _types(b)
    return bool(types_a and types_b and not (types_a & types_b))


def _resolved(schema: Any, root: Mapping[str, Any]) -> Any:
    """The schema that a local reference stands for; what it cannot follow it gives back."""
    for _ in range(16):
        if not (isinstance(schema, dict) and isinstance(schema.get("$ref"), str)):
            return schema
        steps = schema["$ref"].removeprefix("#").split("/")[1:]
        if not schema["$ref"].startswith("#") or len(schema) > 1:
            return schema
        target: Any = root
        for step in steps:
            step = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, dict) or step not in target:
                return schema
            target = target[step]
        schema = target
    return schema


def _types(schema: dict[str, Any]) -> frozenset[str]:
    """The JSON types that a schema names, an integer being a number; none where it names none."""
    named = schema.get("type", ())
    names = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    if not names and (values := _values(schema)) is not None:
        names = [value[0] for value in values]
    return frozenset("number" if name == "integer" else name for name in names)


def _values(schema: dict[str, Any]) -> frozenset[tuple[str, Any]] | None:
    """The only values that a schema allows, told apart by type; None where that is not plain."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list) or not all(isinstance(each, _SCALARS) for each in values):
        return None
    return frozenset((_type_of(each), each) for each in values)


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "null"

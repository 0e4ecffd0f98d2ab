"""Compiles schemas of up to 500 KB, each large in one respect.

Run with `python -m tests.chat.structured.json_schema.large_schemas`, in a process of its own: it
crashes if the compiler's recursion exceeds the stack, and is killed if a schema takes forever.
"""

from collections.abc import Callable
from typing import Any

from friendli_endpoint.generation import RequestError
from tests.support.chat import ConstraintMaker
from tests.support.scripted import ScriptedVocabulary

__all__ = ["FAMILIES"]

Schema = dict[str, Any]


def _strings(count: int) -> list[str]:
    return [f"v{number}" for number in range(count)]


def _definitions(count: int) -> dict[str, Schema]:
    return {f"d{number}": {"type": "string"} for number in range(count)}


def _references(count: int) -> list[Schema]:
    return [{"$ref": f"#/$defs/d{number}"} for number in range(count)]


def _chain(count: int) -> dict[str, Schema]:
    """Returns definitions, each of which has a pattern and refers to the next one."""
    links = {
        f"d{n}": {"type": "string", "pattern": f"a{n}", "$ref": f"#/$defs/d{n + 1}"}
        for n in range(count)
    }
    return {**links, f"d{count}": {"type": "string"}}


def _nested(depth: int) -> Schema:
    schema: Schema = {}
    for number in range(depth):
        schema = {"type": "string", "pattern": f"a{number}", "anyOf": [schema]}
    return schema


FAMILIES: dict[str, Callable[[], Schema]] = {
    "oneOf of empty schemas": lambda: {"oneOf": [{}] * 100_000},
    "oneOf of constants": lambda: {"oneOf": [{"const": n} for n in range(24_000)]},
    "oneOf of one reference": lambda: {
        "$defs": {"d": {"enum": _strings(100)}},
        "oneOf": [{"$ref": "#/$defs/d"}] * 18_000,
    },
    "oneOf of long lists": lambda: {
        "oneOf": [{"enum": [f"{n} {m}" for m in range(1000)]} for n in range(50)]
    },
    "oneOf of many required": lambda: {
        "oneOf": [{"type": "object", "required": _strings(1000)}] * 60
    },
    "many oneOf": lambda: {
        "prefixItems": [{"oneOf": [{"const": n} for n in range(400)]}] * 80,
    },
    "not oneOf": lambda: {"not": {"oneOf": [{"const": n} for n in range(24_000)]}},
    "anyOf of empty schemas": lambda: {"anyOf": [{}] * 100_000},
    "allOf of references": lambda: {"$defs": _definitions(8000), "allOf": _references(8000)},
    "anyOf of references": lambda: {"$defs": _definitions(8000), "anyOf": _references(8000)},
    "allOf of patterns": lambda: {"allOf": [{"pattern": f"a{n}"} for n in range(40)]},
    "allOf of patterns of a property": lambda: {
        "allOf": [{"properties": {"a": {"pattern": f"a{n}"}}} for n in range(40)]
    },
    "allOf of alternatives with patterns": lambda: {
        "allOf": [{"anyOf": [{"properties": {"a": {"pattern": f"a{n}"}}}]} for n in range(40)]
    },
    "references beside patterns": lambda: {"$defs": _chain(40), "$ref": "#/$defs/d0"},
    "nested alternatives with patterns": lambda: _nested(40),
    "required": lambda: {"type": "object", "required": _strings(40_000)},
    "dependentRequired": lambda: {"dependentRequired": {"a": _strings(40_000)}},
    "propertyNames": lambda: {"type": "object", "propertyNames": {"enum": _strings(40_000)}},
    "properties": lambda: {"type": "object", "properties": dict.fromkeys(_strings(30_000), True)},
    "enum": lambda: {"enum": _strings(40_000)},
    "constant list": lambda: {"const": list(range(60_000))},
    "constant object": lambda: {"const": dict.fromkeys(_strings(30_000), 0)},
    "constant object at the limit": lambda: {"const": dict.fromkeys(_strings(9_998), 0)},
    "required at the limit": lambda: {"type": "object", "required": _strings(2000)},
    "prefixItems": lambda: {"type": "array", "prefixItems": [{"type": "null"}] * 19_000},
    "dependencies": lambda: {"dependentRequired": {name: [name] for name in _strings(9000)}},
}


def main() -> None:
    """Prints the name of each family once its schema has been compiled or rejected."""
    vocabulary = ScriptedVocabulary()
    compiler = ConstraintMaker(vocabulary)
    for name, family in FAMILIES.items():
        try:
            compiler.json_schema(family(), vocabulary.end_ids, "schema").mask()
        except RequestError as error:
            assert error.status == 400, name
        print(name, flush=True)


if __name__ == "__main__":
    main()

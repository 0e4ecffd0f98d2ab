"""Keywords that hold a schema only if something else does: `not`, `if`, and dependencies."""

from typing import Any

from friendli_endpoint.chat.structured.json_schema.objects import check_count
from friendli_endpoint.chat.structured.json_schema.part import Part
from friendli_endpoint.chat.structured.json_schema.place import SchemaFault

__all__ = ["condition", "dependencies", "negation"]


def negation(part: Part) -> None:
    """Rewrites `not`."""
    part.also(part.whole.complement(part.schema["not"], part.at("not"), exact=True))


def condition(part: Part) -> None:
    """Rewrites `if`, `then` and `else` into two alternatives."""
    if not {"then", "else"} & part.schema.keys():
        return
    asked = part.schema["if"]
    otherwise = part.whole.complement(asked, part.at("if"), exact=True)
    branches = [(part.rewritten(asked, "if"), "then"), (otherwise, "else")]
    part.either(
        [
            {"allOf": [holding, part.rewritten(part.schema.get(keyword, True), keyword)]}
            for holding, keyword in branches
        ]
    )


def dependencies(part: Part) -> None:
    """Rewrites what has to hold if a property is there: it is not there, or that holds."""
    for keyword in ("dependencies", "dependentRequired", "dependentSchemas"):
        for name, asked in part.schema.get(keyword, {}).items():
            if asked not in (True, {}, []):
                part.also(
                    {"anyOf": [{"properties": {name: False}}, _dependent(part, keyword, name)]}
                )


def _dependent(part: Part, keyword: str, name: str) -> Any:
    asked = part.schema[keyword][name]
    if isinstance(asked, dict | bool):
        return part.rewritten(asked, keyword, name)
    names = [asked] if isinstance(asked, str) else asked
    if not _are_names(names):
        raise SchemaFault(part.at(keyword, name), "it must be a list of strings", invalid=True)
    check_count(names, part.at(keyword, name))
    return {"required": list(dict.fromkeys(names))}


def _are_names(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)

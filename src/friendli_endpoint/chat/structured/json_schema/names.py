"""Keywords for properties by name: patterns of names, and all remaining names."""

from typing import Any

from friendli_endpoint.chat.structured.json_schema.checking import check_enforced, check_values
from friendli_endpoint.chat.structured.json_schema.formats import STRINGS
from friendli_endpoint.chat.structured.json_schema.keywords import ASSERTIONS, types_of
from friendli_endpoint.chat.structured.json_schema.literals import check_text
from friendli_endpoint.chat.structured.json_schema.node import SchemaNode
from friendli_endpoint.chat.structured.json_schema.objects import check_count
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, SchemaPath
from friendli_endpoint.chat.structured.json_schema.strings import (
    rewrite_pattern,
    rewrite_pattern_loosely,
)
from friendli_endpoint.chat.structured.regex import (
    PatternError,
    parse_pattern,
    unambiguous_patterns,
)

__all__ = ["names"]

_MAX_PATTERNS = 100
_NAMED = frozenset({"properties", "patternProperties", "required"})


def names(node: SchemaNode) -> None:
    """Rewrites `patternProperties`, `additionalProperties` and `propertyNames`."""
    if "patternProperties" in node.schema:
        node.out["patternProperties"] = _pattern_properties(node)
    if "propertyNames" in node.schema:
        _rewrite_property_names(node)
    elif "additionalProperties" in node.schema:
        rest = node.schema["additionalProperties"]
        node.out["additionalProperties"] = node.rewrite(rest, "additionalProperties")


def _pattern_properties(node: SchemaNode) -> dict[str, Any]:
    schemas = node.schema["patternProperties"]
    if len(schemas) > _MAX_PATTERNS:
        raise SchemaError(
            node.at("patternProperties"), f"it has more than {_MAX_PATTERNS} patterns"
        )
    patterns, ambiguous = _rewrite_name_patterns(node)
    out: dict[str, Any] = {ambiguous: False} if ambiguous else {}
    for pattern, (original, schema) in zip(patterns, schemas.items(), strict=True):
        if pattern in out:
            raise SchemaError(
                node.at("patternProperties", original), "another pattern is equivalent"
            )
        out[pattern] = node.rewrite(schema, "patternProperties", original)
    return out


def _rewrite_name_patterns(node: SchemaNode) -> tuple[list[str], str | None]:
    """Returns the patterns for the compiler, and a pattern of forbidden names, if any.

    A name that a pattern matches in some regex dialects only must satisfy both the schema of the
    pattern and that of the remaining names. If the remaining names may have any value, the pattern
    includes it; if they are forbidden, the pattern excludes it; otherwise the name is forbidden.
    """
    named = node.schema.get("properties", ())
    rest = node.schema.get("additionalProperties", node.schema.get("unevaluatedProperties", True))
    patterns = node.schema["patternProperties"]
    strict = [rewrite_pattern(text, node.at("patternProperties", text)) for text in patterns]
    if rest is False and all(name.isascii() and name.isprintable() for name in named):
        return strict, None
    if rest in (True, {}):
        loose = [
            rewrite_pattern_loosely(text, node.at("patternProperties", text)) for text in patterns
        ]
        return loose, None
    try:
        exact, ambiguous = unambiguous_patterns([parse_pattern(text) for text in patterns])
    except PatternError as error:
        raise SchemaError(node.at("patternProperties"), f"in a pattern: {error}") from error
    return [f"^{pattern}$" for pattern in exact], f"^{ambiguous}$" if ambiguous else None


def _rewrite_property_names(node: SchemaNode) -> None:
    """Rewrites `propertyNames` into patterns or named properties, if that is equivalent."""
    document = node.context.document
    path = document.follow_references(node.at("propertyNames"))
    schema = document.at(path)
    allowed = schema if isinstance(schema, dict) else {}
    check_values(allowed, path, node.context.document.draft)
    check_enforced(allowed, path)
    rest = node.rewrite(node.schema.get("additionalProperties", True), "additionalProperties")
    keywords = allowed.keys() & ASSERTIONS - {"type"}
    allows_strings = "string" in types_of(allowed)
    if schema is not False and allows_strings and not keywords:
        node.out["additionalProperties"] = rest
        return
    if _NAMED & node.schema.keys() or not allows_strings:
        raise SchemaError(
            path,
            "it is supported for strings only, and not together with properties, "
            "patternProperties or required",
        )
    node.out["additionalProperties"] = False
    if keywords in ({"enum"}, {"const"}):
        listed = allowed["enum"] if "enum" in allowed else [allowed["const"]]
        check_count(listed, path)
        for name in listed:
            check_text(name, path)
        node.out["properties"] = {name: rest for name in listed if isinstance(name, str)}
    elif keywords:
        node.out["patternProperties"] = {_name_pattern(allowed, keywords, path): rest}


def _name_pattern(allowed: dict[str, Any], keywords: set[str], path: SchemaPath) -> str:
    """Returns a pattern that is equivalent to the schema of `propertyNames`."""
    if keywords == {"pattern"}:
        return rewrite_pattern(allowed["pattern"], (*path, "pattern"))
    if keywords <= {"minLength", "maxLength"}:
        max_length = int(allowed["maxLength"]) if "maxLength" in allowed else ""
        return f"^(?s:.{{{int(allowed.get('minLength', 0))},{max_length}}})$"
    if keywords == {"format"} and allowed["format"] in STRINGS:
        return f"^(?:{STRINGS[allowed['format']]})$"
    raise SchemaError(
        path,
        "it is supported with only one of enum, const, pattern and a known format, or with "
        "minLength and maxLength",
    )

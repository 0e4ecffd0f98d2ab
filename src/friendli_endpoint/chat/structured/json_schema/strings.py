"""String keywords: lengths, patterns and formats; a format may also be that of a number."""

from collections.abc import Callable
from typing import TypeVar

from friendli_endpoint.chat.structured.json_schema.formats import NUMBERS, format_pattern
from friendli_endpoint.chat.structured.json_schema.node import SchemaNode
from friendli_endpoint.chat.structured.json_schema.numbers import numeric_bounds
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, SchemaPath
from friendli_endpoint.chat.structured.regex import (
    PatternError,
    loose_pattern,
    patterns_except,
    search_pattern,
    search_patterns,
)

__all__ = [
    "excluded_patterns",
    "formatted",
    "lengths",
    "pattern",
    "rewrite_pattern",
    "rewrite_pattern_loosely",
]

T = TypeVar("T")

_MAX_LENGTH = 100_000
_MAX_REQUIRED_LENGTH = 10_000


def lengths(node: SchemaNode) -> None:
    """Rewrites `minLength` and `maxLength`."""
    min_length, max_length = node.count("minLength", 0), node.count("maxLength", _MAX_LENGTH)
    if min_length > _MAX_REQUIRED_LENGTH:
        raise SchemaError(node.at("minLength"), f"it must be at most {_MAX_REQUIRED_LENGTH:,}")
    if min_length:
        node.out["minLength"] = min_length
    if "maxLength" in node.schema:
        node.out["maxLength"] = min(max_length, _MAX_LENGTH)


def pattern(node: SchemaNode) -> None:
    """Rewrites `pattern`."""
    path = node.at("pattern")
    for rewritten in _rewritten(search_patterns, node.schema["pattern"], path):
        _add_pattern(node, f"^(?:{rewritten})$")


def excluded_patterns(text: str, path: SchemaPath) -> list[str]:
    """Returns patterns of the strings that a `pattern` does not match, all of which must match.

    Raises:
        SchemaError: The pattern is invalid, or a grammar cannot exclude what it matches.
    """
    rewritten = _rewritten(patterns_except, text, path)
    return [f"^(?:{pattern})$" for pattern in rewritten]


def formatted(node: SchemaNode) -> None:
    """Rewrites `format` into a pattern of strings, or into bounds of numbers.

    A format of strings does not constrain numbers, nor the reverse. Any other is an annotation.
    """
    name = node.schema["format"]
    defined = format_pattern(name, has_pattern="pattern" in node.schema)
    if "string" in node.types and defined is not None:
        _add_pattern(node, f"^(?:{defined})$")
    if {"number", "integer"} & set(node.types) and name in NUMBERS:
        node.add_all_of(numeric_bounds(NUMBERS[name], node.path))


def rewrite_pattern(text: str, path: SchemaPath) -> str:
    """Rewrites a searched regular expression into an anchored one for the compiler.

    If regex dialects disagree, the result matches only what all of them match.

    Args:
        text: The user's pattern.
        path: Path of the pattern.

    Raises:
        SchemaError: The pattern is invalid or cannot be enforced.
    """
    return f"^(?:{_rewritten(search_pattern, text, path)})$"


def rewrite_pattern_loosely(text: str, path: SchemaPath) -> str:
    """Rewrites a searched regular expression so that it matches what any dialect matches.

    Raises:
        SchemaError: The pattern is invalid or cannot be enforced.
    """
    return f"^(?:{_rewritten(loose_pattern, text, path)})$"


def _rewritten(rewrite: Callable[[str], T], text: str, path: SchemaPath) -> T:
    try:
        return rewrite(text)
    except PatternError as error:
        raise SchemaError(path, str(error)) from error


def _add_pattern(node: SchemaNode, rewritten: str) -> None:
    if "pattern" in node.out:
        kind = {"type": "string"} if node.types == ("string",) else {}
        node.add_all_of({**kind, "pattern": rewritten})
    else:
        node.out["pattern"] = rewritten

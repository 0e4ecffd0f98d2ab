"""Errors of the compiler, located at a keyword and reworded for the client."""

import re
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, SchemaPath

__all__ = ["client_message", "is_empty_range", "locate_error"]

_MAX_ATTEMPTS = 200
_MAX_SECONDS = 2.0
"""Beyond either limit the search stops: each attempt compiles a subschema."""


def locate_error(
    subschemas: Sequence[tuple[SchemaPath, dict[str, Any]]],
    message: str,
    compile_error: Callable[[dict[str, Any]], str | None],
) -> SchemaError:
    """Finds the keyword that causes an error of the compiler.

    Args:
        subschemas: Rewritten subschemas with their paths, outer ones first.
        message: The compiler's error for the outermost one.
        compile_error: Compiles a subschema and returns the error, if any; called a bounded number
            of times.
    """
    if client_message(message) == _TOO_COMPLEX:
        return SchemaError((), _TOO_COMPLEX)
    deadline = monotonic() + _MAX_SECONDS
    path: SchemaPath = ()
    innermost, attempts = dict(subschemas[0][1]) if subschemas else {}, 0
    for inner_path, schema in subschemas[1:]:
        if inner_path[: len(path)] != path or len(inner_path) <= len(path):
            continue
        required = _REQUIRED.match(message)
        if required and inner_path != (*path, "properties", required[1]):
            continue
        attempts += 1
        if attempts > _MAX_ATTEMPTS or monotonic() > deadline:
            break
        inner_message = compile_error(schema)
        if inner_message is not None and (required or inner_message == message):
            path, innermost, message = inner_path, schema, inner_message
    for expression, keywords, _ in _MESSAGES:
        found = expression.match(message)
        candidates = keywords or (found.groups() if found else ())
        keyword = next((candidate for candidate in candidates if candidate in innermost), None)
        if found and keyword:
            return SchemaError((*path, keyword), client_message(message))
    return SchemaError(path, client_message(message))


def client_message(message: str) -> str:
    """Rewords an error of the compiler for the client."""
    reasons = (reason for expression, _, reason in _MESSAGES if expression.match(message))
    return next(reasons, "") or message.removeprefix(_UNSATISFIABLE)[:300]


def is_empty_range(message: str) -> bool:
    """Whether an error says that a range has no integer, as before version 1.9 of the compiler."""
    return _EMPTY_RANGE.match(message) is not None


_TOO_COMPLEX = "it is too complex: generating an output would take too much work"
_UNSATISFIABLE = "Unsatisfiable schema: "
_REQUIRED = re.compile(f"{_UNSATISFIABLE}required property '(.*)' is unsatisfiable", re.DOTALL)
_EMPTY_RANGE = re.compile("Failed to generate regex for integer range")
_MESSAGES: tuple[tuple[re.Pattern[str], tuple[str, ...], str], ...] = (
    (
        re.compile("patternProperty regexes .* are not disjoint|can't determine if patternProp"),
        ("patternProperties",),
        "two of its patterns might match the same property name",
    ),
    (
        re.compile("circular references with sibling keys"),
        ("$ref",),
        "a recursive $ref must not have other keywords beside it",
    ),
    (
        re.compile("min/maxProperties only supported"),
        ("minProperties", "maxProperties"),
        "minProperties and maxProperties are not supported beside other schemas of the same "
        "object that have optional properties",
    ),
    (
        re.compile(r".*prefixItems\[\d+\] is unsatisfiable but minItems"),
        (),
        "no value can be an item that minItems or contains requires",
    ),
    (
        re.compile(f"{_UNSATISFIABLE}Regex is empty|Unable to determine if regex is empty"),
        ("pattern", "format"),
        "no string satisfies all string keywords of the schema, or the search for one is too "
        "complex",
    ),
    (
        re.compile(".*(fuel|too many|too large|too big|Current row|limit|panic)"),
        (),
        _TOO_COMPLEX,
    ),
    (re.compile("(NoExtension)"), (), "no output satisfies it"),
    (_EMPTY_RANGE, ("minimum", "maximum"), "no integer is within its bounds"),
    (re.compile(_UNSATISFIABLE + r"(\w+) \("), (), ""),
)
"""Errors of the compiler, the keywords that may cause them, and the message for the client.

An empty message keeps that of the compiler.
"""

"""Building blocks of the families' Lark grammars, in the dialect of llguidance."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from friendli_endpoint.chat.structured.json_schema import LAYOUTS
from friendli_endpoint.chat.tools.family import Marker, ToolSpec

__all__ = [
    "ANYTHING",
    "SPACES",
    "any_but",
    "arguments",
    "choice",
    "escaped",
    "is_token",
    "json_value",
    "marked",
    "names_pattern",
    "quoted",
    "without",
]

SPACES = r"[ \t\r\n]{0,16}"
"""The white space that the parsers accept: `Space`, as a regular expression."""


ANYTHING = "/(?s:.*)/"
"""Expression of a terminal: any text."""


def quoted(text: str) -> str:
    """Returns a text as a string literal."""
    return json.dumps(text, ensure_ascii=False)


def escaped(text: str) -> str:
    """Returns a text as a regular expression between slashes."""
    return re.escape(text).replace("/", r"\/")


def names_pattern(tools: Iterable[ToolSpec]) -> str:
    """Returns a regular expression, between slashes, that matches any of the tools' names."""
    return "(" + "|".join(escaped(tool.name) for tool in tools) + ")"


def is_token(marker: str) -> bool:
    """Whether a marker's Lark form is a token, which is allowed in rules but not in terminals."""
    return marker.startswith("<[")


def json_value(schema: Mapping[str, Any]) -> str:
    """Returns an expression of JSON that a rewritten schema allows, in free layout."""
    return "%json " + json.dumps({**schema, "x-guidance": LAYOUTS["free"]}, ensure_ascii=False)


def arguments(schema: Mapping[str, Any]) -> str:
    """Returns an expression of a JSON object that a tool's schema allows."""
    return json_value({"type": "object", **schema})


def choice(alternatives: Iterable[str]) -> str:
    """Returns an expression that matches one of several expressions."""
    return "(" + " | ".join(alternatives) + ")"


def without(texts: Iterable[str]) -> str:
    """Returns an expression of a terminal: text that contains none of these texts."""
    return any_but(f"(?s:.*)({'|'.join(escaped(text) for text in texts)})(?s:.*)")


def any_but(pattern: str) -> str:
    """Returns an expression of a terminal: text that a regular expression does not fully match."""
    return f"({ANYTHING} & ~/{pattern}/)"


def marked(
    opening: str,
    body: str,
    between: str,
    marker: Marker,
    *,
    required: bool,
    parallel: bool,
    text: str = "TEXT",
) -> str:
    """Returns the rules of an output whose calls begin with a marker.

    Args:
        opening: Text of the marker.
        body: Expression after the marker, up to the end of the call.
        between: Expression between the end of a call and the marker of the next.
        marker: Returns the Lark form of a marker.
        required: Whether the output is calls and nothing else.
        parallel: Whether more than one call is allowed.
        text: Expression of the text around `TEXT`, where markers are tokens.
    """
    mark = marker(opening)
    more = f" ({between} {mark} call)*" if parallel else ""
    call = f"call: {body}\n"
    if required:
        return f"start: {mark} call{more}\n{call}"
    if is_token(mark):
        return f"start: {text} | {text} {mark} call{more}\nTEXT: {without([opening])}\n{call}"
    return f"start: TEXT | opening call{more}\nTEXT: /(?s:.*)/\nopening[lazy]: TEXT {mark}\n{call}"

"""Pieces of Lark from which the families make their grammars, in the dialect of llguidance."""

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
"""White space where the parsers take it: `Space`, as a regular expression."""


ANYTHING = "/(?s:.*)/"
"""A terminal's expression: any text."""


def quoted(text: str) -> str:
    """A text as a string literal."""
    return json.dumps(text, ensure_ascii=False)


def escaped(text: str) -> str:
    """A text as a regular expression between slashes."""
    return re.escape(text).replace("/", r"\/")


def names_pattern(tools: Iterable[ToolSpec]) -> str:
    """Any of the tools' names, as a regular expression between slashes."""
    return "(" + "|".join(escaped(tool.name) for tool in tools) + ")"


def is_token(marker: str) -> bool:
    """Whether a marker's Lark form is a token, which can stand in rules but not in terminals."""
    return marker.startswith("<[")


def json_value(schema: Mapping[str, Any]) -> str:
    """JSON that a prepared schema allows, written as the model likes."""
    return "%json " + json.dumps({**schema, "x-guidance": LAYOUTS["free"]}, ensure_ascii=False)


def arguments(schema: Mapping[str, Any]) -> str:
    """A JSON object that a tool's schema allows."""
    return json_value({"type": "object", **schema})


def choice(alternatives: Iterable[str]) -> str:
    """One of several expressions."""
    return "(" + " | ".join(alternatives) + ")"


def without(texts: Iterable[str]) -> str:
    """A terminal's expression: text in which none of these stands."""
    return any_but(f"(?s:.*)({'|'.join(escaped(text) for text in texts)})(?s:.*)")


def any_but(pattern: str) -> str:
    """A terminal's expression: text that a regular expression does not match as a whole."""
    return f"({ANYTHING} & ~/{pattern}/)"


def marked(
    opening: str, body: str, between: str, marker: Marker, *, required: bool, parallel: bool
) -> str:
    """The rules of an output whose calls begin with a marker.

    Args:
        opening: Text of the marker.
        body: What follows it, up to the call's end.
        between: What stands between the end of a call and the marker of the next.
        marker: The Lark form of markers.
        required: Whether the output is calls and nothing else.
        parallel: Whether there may be more than one call.
    """
    mark = marker(opening)
    more = f" ({between} {mark} call)*" if parallel else ""
    call = f"call: {body}\n"
    if required:
        return f"start: {mark} call{more}\n{call}"
    if is_token(mark):
        return f"start: TEXT | TEXT {mark} call{more}\nTEXT: {without([opening])}\n{call}"
    return f"start: TEXT | opening call{more}\nTEXT: /(?s:.*)/\nopening[lazy]: TEXT {mark}\n{call}"

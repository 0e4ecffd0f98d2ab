"""Building blocks of the families' Lark grammars, in the dialect of llguidance."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    "marked_by_any",
    "names_pattern",
    "quoted",
    "share_json",
    "without",
]

SPACES = r"[ \t\r\n]{0,16}"
"""The white space that the parsers accept: `Space`, as a regular expression."""


_LAYOUT_KEY = "x-guidance"

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
    return "%json " + json.dumps({**schema, _LAYOUT_KEY: LAYOUTS["free"]}, ensure_ascii=False)


def arguments(schema: Mapping[str, Any]) -> str:
    """Returns an expression of a JSON object that a tool's schema allows."""
    return json_value({"type": "object", **schema})


def share_json(grammar: str) -> str:
    """Returns an equivalent grammar in which equal expressions of JSON are one rule.

    The compiler makes a grammar of its own from each expression: 1,024 tools with any arguments
    take 40 MiB if each has an expression, and 5 MiB if they share one.
    """
    found = list(_json_expressions(grammar))
    counts = Counter(grammar[start:end] for start, end in found)
    names: dict[str, str] = {}
    parts: list[str] = []
    done = 0
    for start, end in found:
        expression = grammar[start:end]
        if counts[expression] > 1:
            name = names.setdefault(expression, f"json_{len(names)}")
            parts += grammar[done:start], name
            done = end
    rules = "".join(f"{name}: {expression}\n" for expression, name in names.items())
    return "".join([*parts, grammar[done:], rules])


def _json_expressions(grammar: str) -> Iterator[tuple[int, int]]:
    """Yields the beginning and the end of each expression that `json_value` has written."""
    decoder, keyword, end = json.JSONDecoder(), "%json ", 0
    while (start := grammar.find(keyword, end)) >= 0:
        end = start + len(keyword)
        try:
            value, end = decoder.raw_decode(grammar, end)
        except (
            ValueError
        ):  # in a string or a regular expression, where quotes or spaces are escaped
            continue
        if isinstance(value, dict) and _LAYOUT_KEY in value:
            yield start, end


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


def marked_by_any(openings: Sequence[str], body: str, marker: Marker, *, required: bool) -> str:
    """Returns the rules of an output with one block of calls, which one of several texts opens.

    Args:
        openings: The marker, which begins required calls, and other texts that free text may not
            contain either.
        body: Expression after the opening.
        marker: Returns the Lark form of a marker.
        required: Whether the output is the block and nothing else.
    """
    first, *others = openings
    if required or not others:
        return marked(first, body, "", marker, required=required, parallel=False)
    mark, call = marker(first), f"call: {body}\n"
    texts = " | ".join(map(quoted, others))
    if not is_token(mark):
        opening = f"opening[lazy]: TEXT ({mark} | {texts})\n"
        return f"start: TEXT | opening call\nTEXT: /(?s:.*)/\n{opening}{call}"
    return (
        f"start: TEXT | TEXT {mark} call | opening call\nTEXT: {without(openings)}\n"
        f"opening[lazy]: TEXT ({texts})\n{call}"
    )

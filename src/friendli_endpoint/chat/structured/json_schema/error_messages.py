"""What the compiler says against a schema, at the keyword it is about and in words for clients."""

import re
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from friendli_endpoint.chat.structured.json_schema.place import Place, SchemaFault

__all__ = ["fault_of", "in_words"]

_MAX_ATTEMPTS = 200
_MAX_SECONDS = 2.0
"""Beyond either, the complaint stays where it is: each attempt compiles a part anew."""


def fault_of(
    parts: Sequence[tuple[Place, dict[str, Any]]],
    complaint: str,
    asked: Callable[[dict[str, Any]], str | None],
) -> SchemaFault:
    """A complaint of the compiler, at the keyword that it is about.

    Args:
        parts: Schemas with their places, outer ones first.
        complaint: What the compiler says of the outermost.
        asked: What it says of a part; asked a bounded number of times.
    """
    if in_words(complaint) == _TOO_COMPLEX:
        return SchemaFault((), _TOO_COMPLEX)
    deadline = monotonic() + _MAX_SECONDS
    place: Place = ()
    part, attempts = dict(parts[0][1]) if parts else {}, 0
    for inner, schema in parts[1:]:
        if inner[: len(place)] != place or len(inner) <= len(place):
            continue
        required = _REQUIRED.match(complaint)
        if required and inner != (*place, "properties", required[1]):
            continue
        attempts += 1
        if attempts > _MAX_ATTEMPTS or monotonic() > deadline:
            break
        answer = asked(schema)
        if answer is not None and (required or answer == complaint):
            place, part, complaint = inner, schema, answer
    for words, keywords, _ in _COMPLAINTS:
        found = words.match(complaint)
        named = keywords or (found.groups() if found else ())
        keyword = next((each for each in named if each in part), None)
        if found and keyword:
            return SchemaFault((*place, keyword), in_words(complaint))
    return SchemaFault(place, in_words(complaint))


def in_words(complaint: str) -> str:
    """What the compiler says, in words for the client."""
    reasons = (reason for words, _, reason in _COMPLAINTS if words.match(complaint))
    return next(reasons, "") or complaint.removeprefix(_UNSATISFIABLE)[:300]


_TOO_COMPLEX = "it is too complex: an output would take too much work to follow"
_UNSATISFIABLE = "Unsatisfiable schema: "
_REQUIRED = re.compile(f"{_UNSATISFIABLE}required property '(.*)' is unsatisfiable", re.DOTALL)
_COMPLAINTS: tuple[tuple[re.Pattern[str], tuple[str, ...], str], ...] = (
    (
        re.compile("patternProperty regexes .* are not disjoint|can't determine if patternProp"),
        ("patternProperties",),
        "two of its patterns can match the same name, or may",
    ),
    (
        re.compile("circular references with sibling keys"),
        ("$ref",),
        "it leads back to itself and has other keywords beside it",
    ),
    (
        re.compile("min/maxProperties only supported"),
        ("minProperties", "maxProperties"),
        "all properties must be required for it, or it must be 1 with additionalProperties false",
    ),
    (
        re.compile(f"{_UNSATISFIABLE}Regex is empty|Unable to determine if regex is empty"),
        ("pattern", "format"),
        "no string satisfies it together with its neighbours, or none is easily found",
    ),
    (
        re.compile(".*(fuel|too many|too large|too big|Current row|limit|panic)"),
        (),
        _TOO_COMPLEX,
    ),
    (re.compile("(NoExtension)"), (), "nothing satisfies it"),
    (re.compile(_UNSATISFIABLE + r"(\w+) \("), (), ""),
)
"""What the compiler says, the keywords it says it of, and the same in words for the client."""

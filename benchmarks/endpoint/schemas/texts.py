"""Random texts that a regular expression matches."""

from collections.abc import Callable
from importlib import import_module
from random import Random
from typing import Any

__all__ = ["matching_text"]

expressions: Any = import_module("re._parser")
signs: Any = import_module("re._constants")
"""Python's own parser of regular expressions, which has no public name any more."""


def matching_text(pattern: str, rng: Random) -> str | None:
    """Returns a text that a pattern matches, apart from its look-around and back-references.

    Returns:
        The text; None if Python does not parse the pattern.
    """
    try:
        return _text(expressions.parse(pattern), rng)
    except (expressions.error, OverflowError, RecursionError):
        return None


def _text(parsed: Any, rng: Random) -> str:
    """Returns a text that an expression of Python's parser matches, but for look-around."""
    out = ""
    for sign, value in parsed:
        if sign is signs.LITERAL:
            out += chr(value)
        elif sign is signs.NOT_LITERAL:
            out += "y" if value != ord("y") else "z"
        elif sign is signs.ANY:
            out += rng.choice("aB3 _")
        elif sign is signs.IN:
            out += _member(value, rng)
        elif sign is signs.BRANCH:
            out += _text(rng.choice(value[1]), rng)
        elif sign is signs.SUBPATTERN:
            out += _text(value[-1], rng)
        elif sign in (signs.MAX_REPEAT, signs.MIN_REPEAT):
            low, high, repeated = value
            times = rng.randint(low, min(high, low + 2))
            out += "".join(_text(repeated, rng) for _ in range(min(times, 5_000)))
    return out


def _member(members: Any, rng: Random) -> str:
    def is_in(character: str) -> bool:
        found = any(_matches(sign, value, character) for sign, value in members)
        return found is not (members[0][0] is signs.NEGATE)

    ends = [value[0] for sign, value in members if sign is signs.RANGE]
    ends += [value for sign, value in members if sign is signs.LITERAL]
    allowed = [sign for sign in (*"aZ09_- .é", *map(chr, ends)) if is_in(sign)]
    return str(rng.choice(allowed or ["a"]))


def _matches(sign: Any, value: Any, character: str) -> bool:
    if sign is signs.LITERAL:
        return bool(ord(character) == value)
    if sign is signs.RANGE:
        return bool(value[0] <= ord(character) <= value[1])
    if sign is signs.CATEGORY:
        return bool(_CATEGORIES[value](character))
    return False


_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    signs.CATEGORY_DIGIT: str.isdigit,
    signs.CATEGORY_NOT_DIGIT: lambda sign: not sign.isdigit(),
    signs.CATEGORY_SPACE: str.isspace,
    signs.CATEGORY_NOT_SPACE: lambda sign: not sign.isspace(),
    signs.CATEGORY_WORD: lambda sign: sign.isalnum() or sign == "_",
    signs.CATEGORY_NOT_WORD: lambda sign: not (sign.isalnum() or sign == "_"),
}

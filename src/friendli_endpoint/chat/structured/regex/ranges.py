r"""Sets of characters as ranges of code points, and the compiler's syntax for them."""

import re
from bisect import bisect_right
from collections.abc import Iterable

from friendli_endpoint.chat.structured.regex.characters import escape_character
from friendli_endpoint.chat.structured.regex.nodes import PatternError

__all__ = ["ANY", "Alphabet", "Ranges", "parse_ranges", "render_ranges"]

Ranges = tuple[tuple[int, int], ...]
"""Disjoint ranges in order, each with its first and last code point."""

_LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
ANY: Ranges = ((0, _SURROGATES[0] - 1), (_SURROGATES[1] + 1, _LAST))
"""All characters; halves of surrogate pairs are none."""

_PROPERTIES = {
    "Alphabetic": ((0x41, 0x5A), (0x61, 0x7A)),
    "Join_Control": (),
    "M": (),
    "N": ((0x30, 0x39),),
    "Nd": ((0x30, 0x39),),
    "Pc": ((0x5F, 0x5F),),
    "White_Space": ((0x9, 0xD), (0x20, 0x20)),
}
"""The ASCII characters of the properties that classes use.

All other characters count too. The properties stand for what some dialect matches: where such a
class matches, more only makes the complement smaller, and where it is complemented, less remains.
"""
_BEYOND_ASCII = (0x80, _LAST)
_PART = re.compile(
    r"(?P<nested>\[)|(?P<end>\])|\\p\{(?P<name>\w+)\}|\\p\{\w+=(?P<script>\w+)\}"
    r"|\\x\{(?P<code>[0-9a-f]+)\}|(?P<plain>.)",
    re.S,
)


def parse_ranges(source: str) -> Ranges:
    """Returns the characters of a `CharSet`, whose source this package has rendered.

    Raises:
        PatternError: It has a script, whose characters only the compiler knows.
    """
    if not source.startswith("["):
        found = _PART.match(source)
        assert found is not None
        return _merged([(code := _code_of(found), code)])
    ranges, end = _bracketed(source, 1)
    assert end == len(source)
    return ranges


def render_ranges(ranges: Ranges) -> str:
    """Returns a class in the compiler's syntax."""
    if ranges == ANY:
        return "(?s:.)"
    beyond = any(high == _LAST for _, high in ranges)
    members = _complement(ranges) if beyond else ranges
    parts = [
        escape_character(chr(low)) + (f"-{escape_character(chr(high))}" if high > low else "")
        for low, high in members
    ]
    return f"[{'^' if beyond else ''}{''.join(parts)}]"


class Alphabet:
    """A partition of all characters, so that each set is a union of its classes.

    Args:
        sets: The sets.

    Attributes:
        classes: The characters of each class.
    """

    def __init__(self, sets: Iterable[Ranges]) -> None:
        unique = sorted({*sets, ANY})
        ends = (end for ranges in unique for low, high in ranges for end in (low, high + 1))
        starts = sorted({0, *ends})
        self._sets = unique
        members: dict[tuple[bool, ...], list[tuple[int, int]]] = {}
        for low, after in zip(starts, [*starts[1:], _LAST + 1], strict=True):
            if after > low and _contains(ANY, low):
                signature = tuple(_contains(ranges, low) for ranges in unique)
                members.setdefault(signature, []).append((low, after - 1))
        self.classes = [_merged(ranges) for ranges in members.values()]

    def classes_of(self, ranges: Ranges) -> frozenset[int]:
        """Returns the indexes of the classes whose union is a set of this alphabet."""
        return frozenset(
            index for index, members in enumerate(self.classes) if _contains(ranges, members[0][0])
        )

    def union(self, indexes: Iterable[int]) -> Ranges:
        """Returns the characters of some classes."""
        return _merged([bounds for index in indexes for bounds in self.classes[index]])


def _bracketed(source: str, position: int) -> tuple[Ranges, int]:
    """Parses a class after its opening bracket; returns it and the position after its end."""
    negated = source.startswith("^", position)
    position += negated
    found: list[tuple[int, int]] = []
    while True:
        part = _PART.match(source, position)
        assert part is not None
        position = part.end()
        if part["end"]:
            merged = _merged(found)
            return (_complement(merged) if negated else merged), position
        if part["nested"]:
            inner, position = _bracketed(source, position)
            found += inner
        elif part["script"]:
            raise PatternError(
                f"the script {part['script']} is not supported in the complement of a pattern, nor "
                "in one with look-ahead"
            )
        elif part["name"]:
            found += [*_PROPERTIES[part["name"]], _BEYOND_ASCII]
        else:
            low = high = _code_of(part)
            if source.startswith("-", position):
                last = _PART.match(source, position + 1)
                assert last is not None
                high, position = _code_of(last), last.end()
            found.append((low, high))


def _code_of(part: re.Match[str]) -> int:
    return int(part["code"], 16) if part["code"] else ord(part["plain"])


def _merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Returns ranges in order, without overlaps and without surrogates."""
    out: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return tuple(part for bounds in out for part in _without_surrogates(*bounds))


def _without_surrogates(low: int, high: int) -> Iterable[tuple[int, int]]:
    first, last = _SURROGATES
    if high < first or low > last:
        yield low, high
        return
    if low < first:
        yield low, first - 1
    if high > last:
        yield last + 1, high


def _complement(ranges: Ranges) -> Ranges:
    out, start = [], 0
    for low, high in ranges:
        if low > start:
            out.append((start, low - 1))
        start = high + 1
    if start <= _LAST:
        out.append((start, _LAST))
    return _merged(out)


def _contains(ranges: Ranges, code: int) -> bool:
    index = bisect_right(ranges, (code, _LAST)) - 1
    return index >= 0 and ranges[index][0] <= code <= ranges[index][1]

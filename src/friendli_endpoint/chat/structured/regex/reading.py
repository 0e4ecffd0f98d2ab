"""A regular expression to nodes: groups, alternatives, repetitions and anchors."""

import re
from dataclasses import dataclass

from friendli_endpoint.chat.structured.regex.classes import ClassReader, Reach
from friendli_endpoint.chat.structured.regex.cursor import Cursor
from friendli_endpoint.chat.structured.regex.nodes import (
    Anchor,
    Group,
    Node,
    PatternError,
    Repeat,
    Text,
    size_of,
)

__all__ = ["Pattern", "read"]

_MOST_NESTING = 40
_MOST_SIZE = 20_000
_MOST_DIGITS = 6

_NOT_SERVED = {
    "(?=": "look-ahead",
    "(?!": "look-ahead",
    "(?<=": "look-behind",
    "(?<!": "look-behind",
    "(?P=": "a back-reference",
    "(?>": "an atomic group",
    "(?(": "a condition",
    "(?#": "a comment",
}
_OPENING = re.compile(r"\((?:\?:|\?P?<[A-Za-z_]\w*>)?")
_COUNT = re.compile(r"[*+?]|\{(\d+)(,?)(\d*)\}")
_MAY_BE_COUNT = re.compile(r"[*+?]|\{\d*,?\d*\}")
_COUNT_WITHOUT_LEAST = re.compile(r"\{,\d+\}")
_LINE_END = Text(r"\x{a}")
_SIGNS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression that has been read.

    Attributes:
        root: Its nodes.
        ambiguous: Characters, as they are written in classes: a text without any of them matches
            in all dialects, or in none.
    """

    root: Group
    ambiguous: frozenset[str]


def read(text: str, reach: Reach) -> Pattern:
    """Reads a regular expression.

    Args:
        text: As the user has it.
        reach: How far its classes reach.

    Raises:
        PatternError: It is broken, has a construct that is not served, or is too large.
    """
    cursor = Cursor(text)
    classes = ClassReader(cursor, reach, ignore_case=cursor.took("(?i)"))
    reader = _Reader(cursor, classes, reach.loose)
    root = reader.group(0)
    if not cursor.ended:
        raise PatternError(f"unmatched ) at position {cursor.at}")
    if size_of(root) > _MOST_SIZE:
        raise PatternError(f"its repetitions make up more than {_MOST_SIZE:,} characters")
    return Pattern(root, frozenset(reader.ambiguous | classes.ambiguous))


class _Reader:
    def __init__(self, cursor: Cursor, classes: ClassReader, loose: bool) -> None:
        self._cursor = cursor
        self._loose = loose
        self._classes = classes
        self.ambiguous: set[str] = set()

    def group(self, nesting: int) -> Group:
        if nesting > _MOST_NESTING:
            raise PatternError(f"groups are nested deeper than {_MOST_NESTING} levels")
        options: list[tuple[Node, ...]] = []
        sequence: list[Node] = []
        while not (self._cursor.ended or self._cursor.sees(")")):
            if self._cursor.took("|"):
                options.append(tuple(sequence))
                sequence = []
            else:
                sequence.append(self._repeated(self._one(nesting)))
        return Group((*options, tuple(sequence)))

    def _one(self, nesting: int) -> Node:
        if self._cursor.sees("("):
            return self._parenthesis(nesting)
        start = self._cursor.at
        if self._cursor.took_match(_MAY_BE_COUNT):
            raise PatternError(f"nothing to repeat at position {start}")
        match self._cursor.next():
            case "^" | "$" as sign:
                return self._anchor(sign)
            case ".":
                return Text(self._classes.dot())
            case "[":
                return Text(self._classes.bracketed())
            case "\\":
                return Text(self._classes.escape())
            case sign:
                return Text(self._classes.literal(sign))

    def _anchor(self, sign: str) -> Anchor | Group:
        if sign == "^":
            return Anchor(sign)
        self.ambiguous.add(_LINE_END.written)  # Before a last one, Python's holds, too.
        end = Anchor(sign)
        return Group(((Repeat(_LINE_END, 0, 1), end),)) if self._loose else end

    def _parenthesis(self, nesting: int) -> Group:
        start = self._cursor.at
        for opening, name in _NOT_SERVED.items():
            if self._cursor.sees(opening):
                raise PatternError(f"{name}, {opening}…), at position {start}")
        self._cursor.took_match(_OPENING)
        if self._cursor.sees("?"):
            raise PatternError(f"a group with flags or of an unknown kind, at position {start}")
        group = self.group(nesting + 1)
        if not self._cursor.took(")"):
            raise PatternError(f"unclosed ( at position {start}")
        return group

    def _repeated(self, node: Node) -> Node:
        start = self._cursor.at
        found = self._cursor.took_match(_COUNT)
        if found is None:
            if self._cursor.took_match(_COUNT_WITHOUT_LEAST):
                raise PatternError(f"a repetition without its least count, at position {start}")
            return node
        if isinstance(node, Anchor):
            raise PatternError(f"a repeated anchor at position {start}")
        least, most = _SIGNS.get(found[0]) or _counts(found, start)
        self._cursor.took("?")
        again = self._cursor.at
        if self._cursor.took_match(_MAY_BE_COUNT):
            raise PatternError(f"a repetition of a repetition at position {again}")
        return Repeat(node, least, most)


def _counts(found: re.Match[str], start: int) -> tuple[int, int | None]:
    if max(len(found[1]), len(found[3])) > _MOST_DIGITS:
        raise PatternError(f"a repetition that is too large, at position {start}")
    least = int(found[1])
    most = int(found[3]) if found[3] else None if found[2] else least
    if most is not None and most < least:
        raise PatternError(f"a repetition whose counts are out of order, {found[0]}")
    return least, most

"""Parser of regular expressions: groups, alternatives, repetitions and anchors."""

import re
from dataclasses import dataclass

from friendli_endpoint.chat.structured.regex.classes import ClassParser, ClassRules
from friendli_endpoint.chat.structured.regex.cursor import Cursor
from friendli_endpoint.chat.structured.regex.nodes import (
    Anchor,
    CharSet,
    Group,
    Look,
    Node,
    PatternError,
    Repeat,
    fixed_length,
    size_of,
)

__all__ = ["Pattern", "parse"]

_MAX_NESTING = 40
_MAX_SIZE = 20_000
_MAX_FIXED = 8 * 1024
"""Bytes that a pattern leaves no choice about; see `json_schema/fixed_text.py`."""
_MAX_DIGITS = 6

_UNSUPPORTED = {
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
_COUNT_WITHOUT_MIN = re.compile(r"\{,\d+\}")
_LINE_END = CharSet(r"\x{a}")
_SIGNS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed regular expression.

    Attributes:
        root: The root of its syntax tree.
        ambiguous: Characters in the syntax inside a class: a text without any of them matches in
            all dialects, or in none.
    """

    root: Group
    ambiguous: frozenset[str]


def parse(text: str, rules: ClassRules) -> Pattern:
    """Parses a regular expression.

    Args:
        text: The user's pattern.
        rules: Characters that its classes match.

    Raises:
        PatternError: It is invalid, has an unsupported construct, or is too large.
    """
    cursor = Cursor(text)
    classes = ClassParser(cursor, rules, ignore_case=cursor.skip("(?i)"))
    parser = _Parser(cursor, classes, rules.loose)
    root = parser.group(0)
    if not cursor.at_end:
        raise PatternError(f"unmatched ) at position {cursor.position}")
    if size_of(root) > _MAX_SIZE:
        raise PatternError(f"its repetitions expand to more than {_MAX_SIZE:,} characters")
    if fixed_length(root) > _MAX_FIXED:
        raise PatternError(f"it prescribes a text of more than {_MAX_FIXED:,} bytes")
    return Pattern(root, frozenset(parser.ambiguous | classes.ambiguous))


class _Parser:
    def __init__(self, cursor: Cursor, classes: ClassParser, loose: bool) -> None:
        self._cursor = cursor
        self._loose = loose
        self._classes = classes
        self.ambiguous: set[str] = set()

    def group(self, nesting: int) -> Group:
        if nesting > _MAX_NESTING:
            raise PatternError(f"its groups are nested deeper than {_MAX_NESTING} levels")
        options: list[tuple[Node, ...]] = []
        sequence: list[Node] = []
        while not (self._cursor.at_end or self._cursor.startswith(")")):
            if self._cursor.skip("|"):
                options.append(tuple(sequence))
                sequence = []
            else:
                sequence.append(self._repeated(self._atom(nesting)))
        return Group((*options, tuple(sequence)))

    def _atom(self, nesting: int) -> Node:
        if self._cursor.startswith("("):
            return self._parenthesis(nesting)
        start = self._cursor.position
        if self._cursor.match(_MAY_BE_COUNT):
            raise PatternError(f"there is nothing to repeat at position {start}")
        match self._cursor.next():
            case "^" | "$" as sign:
                return self._anchor(sign)
            case ".":
                return CharSet(self._classes.dot())
            case "[":
                return CharSet(self._classes.bracketed())
            case "\\":
                return CharSet(self._classes.escape())
            case sign:
                return CharSet(self._classes.literal(sign))

    def _anchor(self, sign: str) -> Anchor | Group:
        if sign == "^":
            return Anchor(sign)
        self.ambiguous.add(_LINE_END.source)  # Python's $ also matches before a final line feed.
        end = Anchor(sign)
        return Group(((Repeat(_LINE_END, 0, 1), end),)) if self._loose else end

    def _parenthesis(self, nesting: int) -> Group | Look:
        start = self._cursor.position
        for opening, name in _UNSUPPORTED.items():
            if self._cursor.startswith(opening):
                raise PatternError(f"{name} {opening}…) at position {start} is not supported")
        for opening, negative in (("(?=", False), ("(?!", True)):
            if self._cursor.skip(opening):
                return self._look(start, nesting, negative)
        self._cursor.match(_OPENING)
        if self._cursor.startswith("?"):
            raise PatternError(
                f"a group with flags or of an unknown kind at position {start} is not supported"
            )
        return self._closed(start, nesting)

    def _look(self, start: int, nesting: int, negative: bool) -> Look:
        """Parses a look-ahead; where it is negative, the wider of two dialects is the safe one."""
        classes, loose = self._classes, self._loose
        if negative:
            self._classes, self._loose = classes.opposite(), not loose
        group = self._closed(start, nesting)
        self._classes, self._loose = classes, loose
        return Look(group, negative)

    def _closed(self, start: int, nesting: int) -> Group:
        group = self.group(nesting + 1)
        if not self._cursor.skip(")"):
            raise PatternError(f"unclosed ( at position {start}")
        return group

    def _repeated(self, node: Node) -> Node:
        start = self._cursor.position
        found = self._cursor.match(_COUNT)
        if found is None:
            if self._cursor.match(_COUNT_WITHOUT_MIN):
                raise PatternError(f"the repetition at position {start} has no minimum")
            return node
        if isinstance(node, Anchor | Look):
            kind = "anchor" if isinstance(node, Anchor) else "look-ahead"
            raise PatternError(f"a repeated {kind} at position {start} is not supported")
        min_count, max_count = _SIGNS.get(found[0]) or _counts(found, start)
        self._cursor.skip("?")
        again = self._cursor.position
        if self._cursor.match(_MAY_BE_COUNT):
            raise PatternError(f"a repetition of a repetition at position {again} is not supported")
        return Repeat(node, min_count, max_count)


def _counts(found: re.Match[str], start: int) -> tuple[int, int | None]:
    if max(len(found[1]), len(found[3])) > _MAX_DIGITS:
        raise PatternError(f"the repetition at position {start} is too large")
    min_count = int(found[1])
    max_count = int(found[3]) if found[3] else None if found[2] else min_count
    if max_count is not None and max_count < min_count:
        raise PatternError(f"the counts of the repetition {found[0]} are out of order")
    return min_count, max_count

r"""Regular expressions: read as JavaScript, Python and Rust all read them, and written anew.

The dialects differ in what `\d`, `\w`, `\s` and `.` hold, in where an anchor holds, and in how
they read rare spellings. What is written out here leaves nothing to a dialect: classes are
spelled out and anchors are gone, because the whole text has to match. A construct that the
dialects read differently, or that no automaton can follow, is a `PatternError` that names it.
"""

import re
from dataclasses import dataclass

__all__ = ["PatternError", "search_pattern", "whole_pattern"]

_MOST_NESTING = 40
_MOST_SIZE = 20_000
"""Characters of a text that a pattern tells apart: repetitions count as often as they can."""

_ANY = r"(?s:.*)"
_ASCII = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\x{9}-\x{d}\x{20}"}
_UNICODE = {
    "d": r"\p{Nd}",
    "w": r"\p{Alphabetic}\p{M}\p{N}\p{Pc}\p{Join_Control}",
    "s": r"\p{White_Space}\x{1c}-\x{1f}\x{180e}\x{200b}\x{2060}\x{feff}",
}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_GROUPS = {
    "(?=": "look-ahead",
    "(?!": "look-ahead",
    "(?<=": "look-behind",
    "(?<!": "look-behind",
    "(?P=": "a back-reference",
    "(?>": "an atomic group",
    "(?(": "a condition",
    "(?#": "a comment",
}
_LETTERS = {
    "b": "a word boundary",
    "B": "a word boundary",
    "p": "a Unicode property",
    "P": "a Unicode property",
    "N": "a named character",
    "A": "an anchor other than ^ and $",
    "Z": "an anchor other than ^ and $",
    "z": "an anchor other than ^ and $",
    "k": "a back-reference",
}


class PatternError(Exception):
    """A regular expression that is broken, or cannot be enforced; the message says why."""


@dataclass(frozen=True, slots=True)
class _Text:
    """Matches one character; written as the compiler reads it."""

    written: str


@dataclass(frozen=True, slots=True)
class _Anchor:
    """`^` or `$`."""

    sign: str


@dataclass(frozen=True, slots=True)
class _Group:
    """One of several sequences."""

    options: "tuple[tuple[_Node, ...], ...]"


@dataclass(frozen=True, slots=True)
class _Repeat:
    """A node, so many times; `most` None is without end."""

    node: "_Node"
    least: int
    most: int | None


_Node = _Text | _Anchor | _Group | _Repeat


def whole_pattern(pattern: str) -> str:
    r"""A pattern for a whole text, in which `\d`, `\w` and `\s` are those of ASCII.

    Raises:
        PatternError: It cannot be enforced.
    """
    return _written(_Parser(pattern, _ASCII, r"[^\x{a}]").parse(), "closed", "closed")


def search_pattern(pattern: str) -> str:
    """A pattern for texts in which a JSON schema's `pattern` is found somewhere.

    Where the dialects differ on what a class holds, it matches what all of them match.

    Raises:
        PatternError: It cannot be enforced.
    """
    dot = r"[^\x{a}\x{d}\x{2028}\x{2029}]"
    return _written(_Parser(pattern, _UNICODE, dot).parse(), "open", "open")


class _Parser:
    r"""Reads a pattern into nodes.

    Args:
        pattern: What the user wrote.
        wide: What a complement such as `\D` leaves out.
        dot: What `.` is written as.
    """

    def __init__(self, pattern: str, wide: dict[str, str], dot: str) -> None:
        self._text = pattern
        self._at = 0
        self._wide = wide
        self._dot = dot
        self._ignore_case = pattern.startswith("(?i)")
        if self._ignore_case:
            self._at = 4

    def parse(self) -> _Group:
        group = self._group(0)
        if self._at < len(self._text):
            raise PatternError(f"unmatched ) at position {self._at}")
        if _size(group) > _MOST_SIZE:
            raise PatternError(f"its repetitions make up more than {_MOST_SIZE:,} characters")
        return group

    def _group(self, nesting: int) -> _Group:
        if nesting > _MOST_NESTING:
            raise PatternError(f"groups are nested deeper than {_MOST_NESTING} levels")
        options: list[tuple[_Node, ...]] = []
        sequence: list[_Node] = []
        while self._at < len(self._text) and self._text[self._at] != ")":
            if self._took("|"):
                options.append(tuple(sequence))
                sequence = []
            else:
                sequence.append(self._repeated(self._one(nesting)))
        return _Group((*options, tuple(sequence)))

    def _one(self, nesting: int) -> _Node:
        start, sign = self._at, self._text[self._at]
        if sign == "(":
            return self._parenthesis(nesting)
        self._at += 1
        if sign in "^$":
            return _Anchor(sign)
        if sign == ".":
            return _Text(self._dot)
        if sign == "[":
            return _Text(self._class(start))
        if sign == "\\":
            return _Text(self._escape_outside(start))
        if sign in "*+?" or (sign == "{" and re.match(r"\{\d*,?\d*\}", self._text[start:])):
            raise PatternError(f"nothing to repeat at position {start}")
        return _Text(self._literal(sign))

    def _parenthesis(self, nesting: int) -> _Node:
        start = self._at
        for opening, name in _GROUPS.items():
            if self._text.startswith(opening, start):
                raise PatternError(f"{name}, {opening}…), at position {start}")
        plain = re.compile(r"\((?:\?:|\?P?<[A-Za-z_]\w*>)?").match(self._text, start)
        if plain is None or self._text.startswith("?", plain.end()):
            raise PatternError(f"a group with flags or of an unknown kind, at position {start}")
        self._at = plain.end()
        group = self._group(nesting + 1)
        if not self._took(")"):
            raise PatternError(f"unclosed ( at position {start}")
        return group

    def _repeated(self, node: _Node) -> _Node:
        start = self._at
        found = re.compile(r"[*+?]|\{(\d+)(,?)(\d*)\}").match(self._text, start)
        if found is None:
            if re.compile(r"\{,\d+\}").match(self._text, start):
                raise PatternError(f"a repetition without its least count, at position {start}")
            return node
        if isinstance(node, _Anchor):
            raise PatternError(f"a repeated anchor at position {start}")
        self._at = found.end()
        least: int
        most: int | None
        if found[1] is None:
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[found[0]]
        else:
            if len(found[1]) > 6 or len(found[3]) > 6:
                raise PatternError(f"a repetition that is too large, at position {start}")
            least = int(found[1])
            most = int(found[3]) if found[3] else None if found[2] else least
            if most is not None and most < least:
                raise PatternError(f"a repetition whose counts are out of order, {found[0]}")
        self._took("?")
        if self._text[self._at : self._at + 1] in ("*", "+", "?") or re.compile(
            r"\{\d*,?\d*\}"
        ).match(self._text, self._at):
            raise PatternError(f"a repetition of a repetition at position {self._at}")
        return _Repeat(node, least, most)

    def _escape_outside(self, start: int) -> str:
        sign = self._text[self._at : self._at + 1]
        if sign and sign in "dws":
            self._at += 1
            return f"[{_ASCII[sign]}]"
        if sign and sign in "DWS":
            self._at += 1
            return f"[^{self._wide[sign.lower()]}]"
        return self._literal(self._escaped(start))

    def _escaped(self, start: int) -> str:
        """The character that an escape stands for."""
        sign = self._text[self._at : self._at + 1]
        if not sign:
            raise PatternError("it ends with a backslash")
        self._at += 1
        if sign in _CONTROLS:
            return _CONTROLS[sign]
        coded = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}").match(
            self._text, start + 1
        )
        if coded:
            self._at = coded.end()
            return self._code_point(int(coded[1] or coded[2] or coded[3], 16), start)
        if sign == "0" and not self._text[self._at : self._at + 1].isdigit():
            return "\0"
        if sign.isdigit():
            raise PatternError(f"a back-reference or octal number, \\{sign}, at position {start}")
        if sign.isalpha():
            name = _LETTERS.get(sign, "an escape that dialects read differently")
            raise PatternError(f"{name}, \\{sign}, at position {start}")
        return sign

    def _code_point(self, number: int, start: int) -> str:
        if 0xD800 <= number < 0xDC00:
            low = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})").match(self._text, self._at)
            if low:
                self._at = low.end()
                return chr(0x10000 + ((number - 0xD800) << 10) + int(low[1], 16) - 0xDC00)
        if 0xD800 <= number < 0xE000 or number > 0x10FFFF:
            raise PatternError(f"half of a surrogate pair, or no character, at position {start}")
        return chr(number)

    def _class(self, start: int) -> str:
        negated = self._took("^")
        if self._text.startswith("]", self._at):
            raise PatternError(f"an empty class at position {start}")
        parts: list[str] = []
        while not self._took("]"):
            if self._at >= len(self._text):
                raise PatternError(f"unclosed [ at position {start}")
            if self._text.startswith(("[:", "[=", "[."), self._at):
                raise PatternError(f"a class in a class at position {self._at}")
            low = self._member(negated)
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                high = self._member(negated)
                if len(low) != 1 or len(high) != 1 or low > high:
                    raise PatternError(f"a range that is none in the class at position {start}")
                parts.append(self._range(low, high, negated))
            else:
                parts.append(self._range(low, low, negated) if len(low) == 1 else low)
        return f"[{'^' if negated else ''}{''.join(parts)}]"

    def _member(self, negated: bool) -> str:
        """A single character, or a class in the compiler's words, which is longer."""
        start, sign = self._at, self._text[self._at : self._at + 1]
        if not sign:
            raise PatternError("it ends in a class")
        self._at += 1
        if sign != "\\":
            return sign
        letter = self._text[self._at : self._at + 1]
        if letter and letter in "dws":
            self._at += 1
            return (self._wide if negated else _ASCII)[letter]
        if letter and letter in "DWS":
            self._at += 1
            return f"[^{(_ASCII if negated else self._wide)[letter.lower()]}]"
        return self._escaped(start)

    def _range(self, low: str, high: str, negated: bool) -> str:
        written = _coded(low) if low == high else f"{_coded(low)}-{_coded(high)}"
        if not self._ignore_case:
            return written
        if negated and high > "\x7f":
            raise PatternError("(?i) with a negated class beyond ASCII")
        for first, last, shift in (("a", "z", -32), ("A", "Z", 32)):
            begin, end = max(low, first), min(high, last)
            if begin <= end:
                written += f"{_coded(chr(ord(begin) + shift))}-{_coded(chr(ord(end) + shift))}"
        return written + (r"\x{17f}\x{212a}" if negated else "")

    def _literal(self, character: str) -> str:
        if 0xD800 <= ord(character) < 0xE000:
            raise PatternError("half of a surrogate pair")
        if self._ignore_case and character.isascii() and character.isalpha():
            return f"[{character.lower()}{character.upper()}]"
        return _coded(character)

    def _took(self, sign: str) -> bool:
        taken = self._text.startswith(sign, self._at)
        self._at += len(sign) * taken
        return taken


def _coded(character: str) -> str:
    plain = character.isascii() and character.isalnum()
    return character if plain else rf"\x{{{ord(character):x}}}"


def _size(node: _Node) -> int:
    if isinstance(node, _Group):
        return 1 + sum(_size(each) for option in node.options for each in option)
    if isinstance(node, _Repeat):
        return _size(node.node) * max(node.least, node.most or 0, 1)
    return 1


def _written(node: _Node, left: str, right: str) -> str:
    """A node for the compiler.

    Args:
        node: What to write.
        left: What is before it: the beginning of the text (`closed`), the beginning or anything
            (`open`), or another node (`inner`), after which `^` can never hold.
        right: The same for what comes after it.
    """
    if isinstance(node, _Group):
        return f"(?:{'|'.join(_sequence(option, left, right) for option in node.options)})"
    if isinstance(node, _Anchor):
        raise PatternError(f"the anchor {node.sign} inside the text, where it can never hold")
    if isinstance(node, _Repeat):
        most = "" if node.most is None else node.most
        return f"(?:{_written(node.node, 'inner', 'inner')}){{{node.least},{most}}}"
    return node.written


def _sequence(nodes: tuple[_Node, ...], left: str, right: str) -> str:
    while nodes and nodes[0] == _Anchor("^") and left != "inner":
        nodes, left = nodes[1:], "closed"
    while nodes and nodes[-1] == _Anchor("$") and right != "inner":
        nodes, right = nodes[:-1], "closed"
    if not nodes:
        return _ANY if "open" in (left, right) else ""
    last = len(nodes) - 1
    out = []
    for index, node in enumerate(nodes):
        before = left if index == 0 else "inner"
        after = right if index == last else "inner"
        if isinstance(node, _Group):
            out.append(_written(node, before, after))
            continue
        out.append(_ANY if before == "open" else "")
        out.append(_written(node, "inner", "inner"))
        out.append(_ANY if after == "open" else "")
    return "".join(out)

r"""Classes of characters: `\d` and its kin, `.` and `[…]`, and how far they reach in a dialect."""

from dataclasses import dataclass

from friendli_endpoint.chat.structured.regex.characters import coded, escaped
from friendli_endpoint.chat.structured.regex.cursor import Cursor
from friendli_endpoint.chat.structured.regex.nodes import PatternError

__all__ = ["ASCII_ONLY", "EVERY_DIALECT", "SOME_DIALECT", "ClassReader", "Reach"]

_NARROW = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\x{9}-\x{d}\x{20}"}
_WIDE = {
    "d": r"\p{Nd}",
    "w": r"\p{Alphabetic}\p{M}\p{N}\p{Pc}\p{Join_Control}",
    "s": r"\p{White_Space}\x{1c}-\x{1f}\x{180e}\x{200b}\x{2060}\x{feff}",
}
_AMBIGUOUS = {
    "d": rf"[{_WIDE['d']}--[{_NARROW['d']}]]",
    "w": r"\x{80}-\x{10ffff}",  # More than there are, and much less work for the compiler.
    "s": rf"[{_WIDE['s']}--[{_NARROW['s']}]]",
}
"""What dialects may disagree about, as it is written in a class."""
_LIKE_S_AND_K = r"\x{17f}\x{212a}"
"""What some dialects take for an s or a k where case does not matter."""


@dataclass(frozen=True, slots=True)
class Reach:
    r"""How far classes reach.

    Attributes:
        held: What `\d` and its kin hold.
        left_out: What their complements leave out, such as `\D`.
        line_ends: What `.` leaves out.
        loose: Whether what only some dialects match is matched.
    """

    held: dict[str, str]
    left_out: dict[str, str]
    line_ends: str
    loose: bool = False


ASCII_ONLY = Reach(_NARROW, _NARROW, r"\x{a}")
EVERY_DIALECT = Reach(_NARROW, _WIDE, r"\x{a}\x{d}\x{2028}\x{2029}")
"""So that a pattern matches what it matches in all dialects."""
SOME_DIALECT = Reach(_WIDE, _NARROW, r"\x{a}", loose=True)
"""So that a pattern matches what it matches in any of them."""


class ClassReader:
    """Reads what matches one character.

    Args:
        cursor: Where to read.
        reach: How far classes reach.
        ignore_case: Whether letters stand for both cases.

    Attributes:
        ambiguous: The characters, as they are written in classes, that dialects disagree about in
            what has been read.
    """

    def __init__(self, cursor: Cursor, reach: Reach, ignore_case: bool) -> None:
        self._cursor = cursor
        self._reach = reach
        self._ignore_case = ignore_case
        self.ambiguous: set[str] = {_LIKE_S_AND_K} if ignore_case else set()

    def dot(self) -> str:
        """`.`, which has been read."""
        self.ambiguous.add(r"\x{d}\x{2028}\x{2029}")
        return f"[^{self._reach.line_ends}]"

    def literal(self, character: str) -> str:
        """A character that stands for itself."""
        if not (self._ignore_case and character.isalpha()):
            return coded(character)
        return f"[{self._range(character, character, negated=False)}]"

    def escape(self) -> str:
        """An escape outside a class, whose backslash has been read."""
        letter = self._cursor.text[self._cursor.at : self._cursor.at + 1]
        named = self._named(letter, negated=False)
        if named is None:
            return self.literal(escaped(self._cursor))
        self._cursor.at += 1
        return f"[{named}]"

    def bracketed(self) -> str:
        """A class, whose bracket has been read."""
        cursor, start = self._cursor, self._cursor.at - 1
        negated = cursor.took("^")
        if cursor.sees("]"):
            raise PatternError(f"an empty class at position {start}")
        parts: list[str] = []
        while not cursor.took("]"):
            if cursor.ended:
                raise PatternError(f"unclosed [ at position {start}")
            if cursor.sees("[:", "[=", "[."):
                raise PatternError(f"a class in a class at position {cursor.at}")
            low = self._member(negated)
            high = low
            if cursor.sees("-") and not cursor.sees("-]"):
                cursor.at += 1
                high = self._member(negated)
                if len(low) != 1 or len(high) != 1 or low > high:
                    raise PatternError(f"a range that is none in the class at position {start}")
            parts.append(self._range(low, high, negated) if len(low) == 1 else low)
        return f"[{'^' if negated else ''}{''.join(parts)}]"

    def _named(self, letter: str, negated: bool) -> str | None:
        r"""What `\d` and its kin are in a class, which may be negated itself."""
        if not letter or letter not in "dwsDWS":
            return None
        kind = letter.lower()
        self.ambiguous.add(_AMBIGUOUS[kind])
        if letter == kind:
            return (self._reach.left_out if negated else self._reach.held)[kind]
        return f"[^{(self._reach.held if negated else self._reach.left_out)[kind]}]"

    def _member(self, negated: bool) -> str:
        """A single character, or a class in the compiler's words, which is longer."""
        sign = self._cursor.next()
        if not sign:
            raise PatternError("it ends in a class")
        if sign != "\\":
            return sign
        letter = self._cursor.text[self._cursor.at : self._cursor.at + 1]
        named = self._named(letter, negated)
        if named is None:
            return escaped(self._cursor)
        self._cursor.at += 1
        return named

    def _range(self, low: str, high: str, negated: bool) -> str:
        written = coded(low) if low == high else f"{coded(low)}-{coded(high)}"
        if not self._ignore_case:
            return written
        as_others = negated is not self._reach.loose
        if as_others and high > "\x7f":
            raise PatternError("(?i) with a negated class beyond ASCII")
        for first, last, shift in (("a", "z", -32), ("A", "Z", 32)):
            begin, end = max(low, first), min(high, last)
            if begin <= end:
                written += f"{coded(chr(ord(begin) + shift))}-{coded(chr(ord(end) + shift))}"
        return written + (_LIKE_S_AND_K if as_others else "")

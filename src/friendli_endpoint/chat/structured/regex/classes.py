r"""Classes of characters: `\d`, `\w`, `\s`, `\p`, `.`, `[…]`, and their meaning by dialect."""

from dataclasses import dataclass

from friendli_endpoint.chat.structured.regex.characters import escape_character, parse_escape
from friendli_endpoint.chat.structured.regex.cursor import Cursor
from friendli_endpoint.chat.structured.regex.nodes import PatternError
from friendli_endpoint.chat.structured.regex.properties import parse_property

__all__ = ["ALL_DIALECTS", "ANY_DIALECT", "ASCII_ONLY", "ClassParser", "ClassRules"]

_NARROW = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\x{9}-\x{d}\x{20}"}
_WIDE = {
    "d": r"\p{Nd}",
    "w": r"\p{Alphabetic}\p{M}\p{N}\p{Pc}\p{Join_Control}",
    "s": r"\p{White_Space}\x{1c}-\x{1f}\x{180e}\x{200b}\x{2060}\x{feff}",
}
_AMBIGUOUS = {
    "d": rf"[{_WIDE['d']}--[{_NARROW['d']}]]",
    "w": r"\x{80}-\x{10ffff}",  # A superset, which is much less work for the compiler.
    "s": rf"[{_WIDE['s']}--[{_NARROW['s']}]]",
}
"""Characters about which dialects disagree, in the syntax inside a class."""
_S_AND_K_VARIANTS = r"\x{17f}\x{212a}"
"""Characters that some dialects match with s or k if case is ignored."""


@dataclass(frozen=True, slots=True)
class ClassRules:
    r"""Characters that classes match.

    Attributes:
        members: Characters that `\d`, `\w` and `\s` match, by letter.
        complemented: Characters that `\D`, `\W` and `\S` do not match, by lower-case letter.
        line_ends: Characters that `.` does not match.
        loose: Whether a character that only some dialects match is matched.
    """

    members: dict[str, str]
    complemented: dict[str, str]
    line_ends: str
    loose: bool = False


ASCII_ONLY = ClassRules(_NARROW, _NARROW, r"\x{a}")
"""Python's rules with the ASCII flag."""
ALL_DIALECTS = ClassRules(_NARROW, _WIDE, r"\x{a}\x{d}\x{2028}\x{2029}")
"""A pattern matches only what it matches in all dialects."""
ANY_DIALECT = ClassRules(_WIDE, _NARROW, r"\x{a}", loose=True)
"""A pattern matches what it matches in any dialect."""
_ASCII_LOOSELY = ClassRules(_NARROW, _NARROW, r"\x{a}", loose=True)
_MAX_PROPERTY_CHARACTERS = 150_000
"""Characters of all Unicode properties of a pattern as ranges: 16 times all letters. The compiler
takes 2 ms for the letters."""
_NARROW_AND_WIDE = ((ALL_DIALECTS, ANY_DIALECT), (ASCII_ONLY, _ASCII_LOOSELY))


class ClassParser:
    """Parses the parts of a pattern that match one character.

    Args:
        cursor: Reading position in the pattern.
        rules: Characters that classes match.
        ignore_case: Whether letters match both cases.

    Attributes:
        ambiguous: Characters about which dialects disagree in what has been parsed, in the syntax
            inside a class.
    """

    def __init__(self, cursor: Cursor, rules: ClassRules, ignore_case: bool) -> None:
        self._cursor = cursor
        self._rules = rules
        self._ignore_case = ignore_case
        self.ambiguous: set[str] = {_S_AND_K_VARIANTS} if ignore_case else set()
        self._property_sizes: list[int] = []

    def opposite(self) -> "ClassParser":
        """Returns the parser of what is negated: wide where this one is narrow, and the reverse."""
        rules = next(
            narrow if self._rules is wide else wide
            for narrow, wide in _NARROW_AND_WIDE
            if self._rules in (narrow, wide)
        )
        parser = ClassParser(self._cursor, rules, self._ignore_case)
        parser.ambiguous = self.ambiguous
        parser._property_sizes = self._property_sizes
        return parser

    def dot(self) -> str:
        """Renders `.`, which has been read."""
        self.ambiguous.add(r"\x{d}\x{2028}\x{2029}")
        return f"[^{self._rules.line_ends}]"

    def literal(self, character: str) -> str:
        """Renders a character that matches itself."""
        if not (self._ignore_case and character.isalpha()):
            return escape_character(character)
        return f"[{self._range(character, character, negated=False)}]"

    def escape(self) -> str:
        """Parses an escape outside a class; the backslash has been read."""
        letter = self._cursor.peek()
        named = self._named(letter, negated=False)
        if named is None:
            return self.literal(parse_escape(self._cursor))
        return f"[{named}]"

    def bracketed(self) -> str:
        """Parses a class; the opening bracket has been read."""
        cursor, start = self._cursor, self._cursor.position - 1
        negated = cursor.skip("^")
        if cursor.startswith("]"):
            raise PatternError(f"an empty class at position {start} is not supported")
        members: list[str] = []
        while not cursor.skip("]"):
            if cursor.at_end:
                raise PatternError(f"unclosed [ at position {start}")
            if cursor.startswith("[:", "[=", "[."):
                raise PatternError(
                    f"a class in a class at position {cursor.position} is not supported"
                )
            low = self._member(negated)
            high = low
            if cursor.startswith("-") and not cursor.startswith("-]"):
                cursor.position += 1
                high = self._member(negated)
                if len(low) != 1 or len(high) != 1 or low > high:
                    raise PatternError(f"the class at position {start} has an invalid range")
            members.append(self._range(low, high, negated) if len(low) == 1 else low)
        return f"[{'^' if negated else ''}{''.join(members)}]"

    def _named(self, letter: str, negated: bool) -> str | None:
        r"""Parses `\d`, `\w`, `\s`, `\p` or a complement inside a class, which may be negated."""
        if letter in ("p", "P"):
            return self._property(negated, is_complement=letter == "P")
        if not letter or letter not in "dwsDWS":
            return None
        self._cursor.position += 1
        kind = letter.lower()
        self.ambiguous.add(_AMBIGUOUS[kind])
        if letter == kind:
            return (self._rules.complemented if negated else self._rules.members)[kind]
        return f"[^{(self._rules.members if negated else self._rules.complemented)[kind]}]"

    def _property(self, negated: bool, *, is_complement: bool) -> str:
        if self._ignore_case:
            raise PatternError("(?i) is not supported with a Unicode property")
        found = parse_property(self._cursor)
        self.ambiguous.add(found.ambiguous)
        members = (
            found.wide if (negated is not is_complement) is not self._rules.loose else found.narrow
        )
        self._property_sizes.append(len(members))
        if sum(self._property_sizes) > _MAX_PROPERTY_CHARACTERS:
            raise PatternError(
                "its Unicode properties have more than "
                f"{_MAX_PROPERTY_CHARACTERS:,} characters as ranges"
            )
        return f"[^{members}]" if is_complement else members

    def _member(self, negated: bool) -> str:
        """Parses a member of a class.

        Returns:
            A single character, or a longer text: a class in the compiler's syntax.
        """
        sign = self._cursor.next()
        if not sign:
            raise PatternError("it ends inside a class")
        if sign != "\\":
            return sign
        letter = self._cursor.peek()
        named = self._named(letter, negated)
        if named is None:
            return parse_escape(self._cursor)
        return named

    def _range(self, low: str, high: str, negated: bool) -> str:
        rendered = escape_character(low)
        if low != high:
            rendered = f"{rendered}-{escape_character(high)}"
        if not self._ignore_case:
            return rendered
        includes_variants = negated is not self._rules.loose
        if includes_variants and high > "\x7f":
            raise PatternError("(?i) is not supported with a negated class beyond ASCII")
        for first, last, shift in (("a", "z", -32), ("A", "Z", 32)):
            begin, end = max(low, first), min(high, last)
            if begin <= end:
                shifted = (escape_character(chr(ord(letter) + shift)) for letter in (begin, end))
                rendered += "-".join(shifted)
        return rendered + (_S_AND_K_VARIANTS if includes_variants else "")

"""Single characters of a pattern: parsing of escapes, and rendering for the compiler."""

import re

from friendli_endpoint.chat.structured.regex.cursor import Cursor
from friendli_endpoint.chat.structured.regex.nodes import PatternError

__all__ = ["escape_character", "parse_escape"]

_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_CODE_POINT = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}")
_LOW_SURROGATE = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_UNSUPPORTED = {
    "b": "a word boundary",
    "B": "a word boundary",
    "N": "a named character",
    "A": "an anchor other than ^ and $",
    "Z": "an anchor other than ^ and $",
    "z": "an anchor other than ^ and $",
    "k": "a back-reference",
}


def escape_character(character: str) -> str:
    """Renders a character in the compiler's syntax, valid inside and outside a class.

    Raises:
        PatternError: It is half of a surrogate pair.
    """
    if 0xD800 <= ord(character) < 0xE000:
        raise PatternError("it contains half of a surrogate pair")
    plain = character.isascii() and character.isalnum()
    return character if plain else rf"\x{{{ord(character):x}}}"


def parse_escape(cursor: Cursor) -> str:
    """Parses the escape of a single character; the backslash has been read.

    Raises:
        PatternError: It is not a single character in all dialects.
    """
    start = cursor.position - 1
    if number := cursor.match(_CODE_POINT):
        return _code_point(cursor, int(number[1] or number[2] or number[3], 16), start)
    sign = cursor.next()
    if not sign:
        raise PatternError("it ends with a backslash")
    if sign in _CONTROLS:
        return _CONTROLS[sign]
    if sign == "0" and not cursor.peek().isdigit():
        return "\0"
    if sign.isdigit():
        raise PatternError(
            f"\\{sign} at position {start} is a back-reference or an octal number; neither is "
            "supported"
        )
    if sign.isalpha():
        name = _UNSUPPORTED.get(sign, "an escape that regex dialects parse differently")
        raise PatternError(f"\\{sign} at position {start} is {name}, which is not supported")
    return sign


def _code_point(cursor: Cursor, number: int, start: int) -> str:
    if 0xD800 <= number < 0xDC00 and (low := cursor.match(_LOW_SURROGATE)):
        return chr(0x10000 + ((number - 0xD800) << 10) + int(low[1], 16) - 0xDC00)
    if 0xD800 <= number < 0xE000 or number > 0x10FFFF:
        raise PatternError(
            f"the escape at position {start} is half of a surrogate pair, or beyond Unicode"
        )
    return chr(number)

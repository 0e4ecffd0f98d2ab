"""Single characters of a pattern, however they are written, and how the compiler reads them."""

import re

from friendli_endpoint.chat.structured.regex.cursor import Cursor
from friendli_endpoint.chat.structured.regex.nodes import PatternError

__all__ = ["coded", "escaped"]

_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_CODED = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}")
_LOW_SURROGATE = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")
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


def coded(character: str) -> str:
    """A character as the compiler reads it, in a class and outside.

    Raises:
        PatternError: It is none.
    """
    if 0xD800 <= ord(character) < 0xE000:
        raise PatternError("half of a surrogate pair")
    plain = character.isascii() and character.isalnum()
    return character if plain else rf"\x{{{ord(character):x}}}"


def escaped(cursor: Cursor) -> str:
    """The character that an escape stands for, whose backslash has been read.

    Raises:
        PatternError: It stands for none, or not in all dialects.
    """
    start = cursor.at - 1
    if number := cursor.took_match(_CODED):
        return _code_point(cursor, int(number[1] or number[2] or number[3], 16), start)
    sign = cursor.next()
    if not sign:
        raise PatternError("it ends with a backslash")
    if sign in _CONTROLS:
        return _CONTROLS[sign]
    if sign == "0" and not cursor.text[cursor.at : cursor.at + 1].isdigit():
        return "\0"
    if sign.isdigit():
        raise PatternError(f"a back-reference or octal number, \\{sign}, at position {start}")
    if sign.isalpha():
        name = _LETTERS.get(sign, "an escape that dialects read differently")
        raise PatternError(f"{name}, \\{sign}, at position {start}")
    return sign


def _code_point(cursor: Cursor, number: int, start: int) -> str:
    if 0xD800 <= number < 0xDC00 and (low := cursor.took_match(_LOW_SURROGATE)):
        return chr(0x10000 + ((number - 0xD800) << 10) + int(low[1], 16) - 0xDC00)
    if 0xD800 <= number < 0xE000 or number > 0x10FFFF:
        raise PatternError(f"half of a surrogate pair, or no character, at position {start}")
    return chr(number)

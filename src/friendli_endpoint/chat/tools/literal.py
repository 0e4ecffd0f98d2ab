"""Literals of Python as JSON: what a pythonic call writes between its parentheses.

JSON is taken as it is. Nothing is evaluated: a literal is read piece by piece, so that no text can
do harm, nor make the compiler of Python speak up.
"""

import json
import re

__all__ = ["as_json", "compact", "is_json"]

_PIECE = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<mark>[\[\]{},:()])
    |(?P<word>[^\s\[\]{},:()"']+)""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"True": "true", "False": "false", "None": "null"}
_BRACKETS = {"(": "[", ")": "]"}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "\n": ""}
_SPACE_OR_STRING = re.compile(r'("(?:\\.|[^"\\])*")|[ \t\r\n]+', re.DOTALL)


def as_json(text: str) -> str:
    """The JSON text of a literal; of what is no literal, a JSON string that holds it."""
    if is_json(text):
        return compact(text)
    pieces: list[str] = []
    for found in _PIECE.finditer(text):
        kind, piece = found.lastgroup, found[0]
        if kind == "string":
            piece = json.dumps(_unescaped(piece[1:-1]), ensure_ascii=False)
        elif kind == "space":
            piece = ""
        elif kind == "mark":
            if piece in "]})" and pieces and pieces[-1] == ",":
                pieces.pop()
            piece = _BRACKETS.get(piece, piece)
        else:
            piece = _WORDS.get(piece, piece)
        pieces.append(piece)
    translated = "".join(pieces)
    return translated if is_json(translated) else json.dumps(text, ensure_ascii=False)


def is_json(text: str) -> bool:
    """Whether a text is JSON by the letter: without NaN and infinities."""
    try:
        json.loads(text, parse_constant=_refuse, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True


def compact(text: str) -> str:
    """JSON without white space between its tokens."""
    return _SPACE_OR_STRING.sub(lambda found: found[1] or "", text)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    digits = found[1] or found[2] or found[3]
    if not digits:
        return _LETTERS.get(found[4], found[4] if found[4] in "\\'\"" else found[0])
    code = int(digits, 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else found[0]


def _refuse(name: str) -> None:
    raise ValueError(name)

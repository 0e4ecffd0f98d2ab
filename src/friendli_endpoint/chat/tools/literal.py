"""Converts Python literals, as in the arguments of a pythonic call, to JSON.

JSON is passed through unchanged. Nothing is evaluated: a literal is converted lexeme by lexeme, so
no text can do harm or trigger a warning of Python's compiler.
"""

import json
import re

__all__ = ["as_json", "compact", "is_json"]

_LEXEME = re.compile(
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
    """Returns the JSON text of a literal; a text that is not a literal becomes a JSON string."""
    if is_json(text):
        return compact(text)
    lexemes: list[str] = []
    after_value = False
    for found in _LEXEME.finditer(text):
        kind, lexeme = found.lastgroup, found[0]
        if kind == "string":
            lexeme = json.dumps(_unescaped(lexeme[1:-1]), ensure_ascii=False)
        elif kind == "mark":
            if lexeme in "]})" and lexemes and lexemes[-1] == ",":
                lexemes.pop()
            lexeme = _BRACKETS.get(lexeme, lexeme)
        elif kind == "word":
            lexeme = _WORDS.get(lexeme, lexeme)
        if kind != "space":
            is_value = kind != "mark"
            # A space keeps two values apart, so that "1 2" does not become 12.
            lexemes.append(f" {lexeme}" if is_value and after_value else lexeme)
            after_value = is_value
    translated = "".join(lexemes)
    return translated if is_json(translated) else json.dumps(text, ensure_ascii=False)


def is_json(text: str) -> bool:
    """Whether a text is strictly valid JSON, without NaN and infinities."""
    try:
        json.loads(text, parse_constant=_reject, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True


def compact(text: str) -> str:
    """Returns a JSON text without white space between its tokens."""
    return _SPACE_OR_STRING.sub(lambda found: found[1] or "", text)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    digits = found[1] or found[2] or found[3]
    if not digits:
        return _LETTERS.get(found[4], found[4] if found[4] in "\\'\"" else found[0])
    code = int(digits, 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else found[0]


def _reject(name: str) -> None:
    raise ValueError(name)

"""Reader of the arguments in Gemma's calls, which converts them to JSON.

Values are like JSON, with bare keys, and strings between markers; JSON is read as well.
"""

import json
import re

from friendli_endpoint.chat.tools.arguments import Read
from friendli_endpoint.chat.tools.form import SPACE, Form, Space, Word
from friendli_endpoint.chat.tools.gemma_values import NOT_IN_NAMES
from friendli_endpoint.chat.tools.literal import compact, is_json
from friendli_endpoint.chat.tools.xml import RawValue

__all__ = ["GemmaArguments"]

_WORDS = {"True": "true", "False": "false", "None": "null"}
_FIRST = Form(Space(), Word(NOT_IN_NAMES), Space(), ":")
_LATER = Form(Space(), ",", Space(), Word(NOT_IN_NAMES), Space(), ":")
_CLOSING = Form(Space(), "}")


class GemmaArguments:
    """Reads keys and values as the properties of a JSON object.

    A string is read incrementally, another value when it is complete.

    Args:
        quote: Marker before and after a string.
    """

    def __init__(self, quote: str) -> None:
        self._quote = quote
        self._value: RawValue | _Literal | None = None
        self._started = False
        self._in_value = False

    def read(self, text: str) -> Read:
        """Reads arguments, up to the closing brace."""
        at, fragment = 0, ""
        while True:
            if self._in_value:
                consumed, value, ended = self._read_value(text[at:])
                at, fragment = at + consumed, fragment + value
                if not ended:
                    return Read(at, fragment)
                self._value, self._in_value = None, False
            closing = _CLOSING.match(text, at)
            opening = (_LATER if self._started else _FIRST).match(text, at)
            if closing == "maybe" or (opening == "maybe" and closing is None):
                return Read(at, fragment)
            if closing is not None:
                return Read(closing.end, fragment + ("}" if self._started else "{}"), ended=True)
            if opening is None or opening == "maybe" or opening.name is None:
                return Read(at, fragment, broken=True)
            fragment += ("," if self._started else "{") + _quoted(opening.name) + ":"
            self._started = self._in_value = True
            at = opening.end

    def _read_value(self, text: str) -> tuple[int, str, bool]:
        """Returns the number of consumed characters, their JSON, and whether the value ended."""
        before = 0
        if self._value is None:
            before = len(text) - len(text.lstrip(SPACE))
            beginning = text[before : before + len(self._quote)]
            if beginning != self._quote and self._quote.startswith(beginning):
                return 0, "", False
            if beginning == self._quote:
                before += len(self._quote)
                self._value = RawValue(self._quote, lines=False)
            else:
                self._value = _Literal(self._quote)
        consumed, value, ended = self._value.read(text[before:])
        return before + consumed, value, ended


class _Literal:
    """A value that is not one string; it ends before a comma or a closing brace."""

    def __init__(self, quote: str) -> None:
        self._quote = quote
        self._inside = ""
        self._depth = 0
        self._seen = 0

    def read(self, text: str) -> tuple[int, str, bool]:
        """Returns the number of consumed characters, their JSON, and whether the value ended."""
        while self._seen < len(text):
            if self._inside:
                end = _end_of_string(text, self._seen, self._inside)
                if end is None:
                    return 0, "", False
                self._inside, self._seen = "", end
                continue
            rest = text[self._seen : self._seen + len(self._quote)]
            if rest == self._quote or rest[0] == '"':
                self._inside = self._quote if rest == self._quote else '"'
                self._seen += len(self._inside)
            elif self._quote.startswith(rest):
                break
            elif self._depth == 0 and rest[0] in ",}":
                return self._seen, _as_json(text[: self._seen], self._quote), True
            else:
                self._depth += (rest[0] in "{[") - (rest[0] in "}]")
                self._seen += 1
        return 0, "", False


def _end_of_string(text: str, at: int, quote: str) -> int | None:
    """Returns the index after a string, from an index inside of it; None if it does not end."""
    if quote != '"':
        found = text.find(quote, at)
        return found + len(quote) if found >= 0 else None
    found_end = re.compile(r'(?:\\.|[^"\\])*"', re.DOTALL).match(text, at)
    return found_end.end() if found_end else None


def _as_json(text: str, quote: str) -> str:
    """Returns the JSON text of a literal; a text that is not a literal becomes a JSON string."""
    mark = re.escape(quote)
    lexemes = re.compile(
        rf"{mark}(?P<text>.*?){mark}"
        r'|(?P<string>"(?:\\.|[^"\\])*")|(?P<mark>[\[\]{},:])'
        r'|(?P<word>[^\s\[\]{},:"]+)(?P<key>\s*:)?|\s+',
        re.DOTALL,
    )
    written = "".join(map(_lexeme, lexemes.finditer(text)))
    return compact(written) if is_json(written) else _quoted(text.strip(SPACE))


def _lexeme(found: re.Match[str]) -> str:
    word = found["word"]
    if word is None:
        return _quoted(found["text"]) if found["text"] is not None else found[0]
    if found["key"]:
        return f"{_quoted(word)}:"
    word = _WORDS.get(word, word)
    return word if is_json(word) else _quoted(word)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

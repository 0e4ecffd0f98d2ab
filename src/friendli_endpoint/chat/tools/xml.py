"""Reader of arguments in XML-like parameters.

A parameter whose schema is a string (any text, or texts from a list) is written without quotes;
every other value is JSON. The schema alone decides between the two, in the grammar and here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from friendli_endpoint.chat.tools.arguments import Read
from friendli_endpoint.chat.tools.family import ToolSpec
from friendli_endpoint.chat.tools.fields import fields_of, raw_of
from friendli_endpoint.chat.tools.form import SPACE, Form
from friendli_endpoint.chat.tools.literal import as_json
from friendli_endpoint.chat.tools.nesting import Nesting
from friendli_endpoint.generation import RequestError

__all__ = ["RawValue", "XmlArguments", "XmlSyntax", "raw_names"]


@dataclass(frozen=True, slots=True)
class XmlSyntax:
    """A family's syntax of parameters.

    Attributes:
        opening: Form of a parameter up to its value, with its name.
        ending: Text that ends the value.
        closing: Form that ends the arguments.
        lines: Whether the value is on its own lines.
        block: Form of a parameter up to a value in a block of text, or None.
        block_ending: Text that ends a value in a block.
    """

    opening: Form
    ending: str
    closing: Form
    lines: bool
    block: Form | None = None
    block_ending: str = ""


def raw_names(tool: ToolSpec) -> Mapping[str, bool]:
    """Returns, for each known property, whether its value is written without quotes."""
    properties = tool.parameters.get("properties", {})
    try:
        return {field.name: raw_of(field.schema) is not None for field in fields_of(tool)}
    except RequestError:
        return dict.fromkeys(properties, False)


class XmlArguments:
    """Reads parameters as the properties of a JSON object.

    Args:
        syntax: The family's syntax.
        raw: By name, whether a parameter is written without quotes.
    """

    def __init__(self, syntax: XmlSyntax, raw: Mapping[str, bool]) -> None:
        self._syntax = syntax
        self._raw = raw
        self._value: RawValue | _JsonValue | None = None
        self._started = False

    def read(self, text: str) -> Read:
        """Reads parameters; text is read incrementally, a JSON value when it is complete."""
        at, fragment = 0, ""
        while True:
            if self._value is not None:
                consumed, value, ended = self._value.read(text[at:])
                at, fragment = at + consumed, fragment + value
                if not ended:
                    return Read(at, fragment)
                self._value = None
            closing = self._syntax.closing.match(text, at)
            block = self._syntax.block.match(text, at) if self._syntax.block is not None else None
            opening = block if block is not None else self._syntax.opening.match(text, at)
            if closing == "maybe" or (opening == "maybe" and closing is None):
                return Read(at, fragment)
            if closing is not None:
                return Read(closing.end, fragment + ("}" if self._started else "{}"), ended=True)
            if opening is None or opening == "maybe" or opening.name is None:
                return Read(at, fragment, broken=True)
            fragment += ("," if self._started else "{") + _quoted(opening.name) + ":"
            self._started = True
            at = opening.end
            ending = self._syntax.ending if block is None else self._syntax.block_ending
            self._value = self._value_of(opening.name, ending)

    def _value_of(self, name: str, ending: str) -> "RawValue | _JsonValue":
        if self._raw.get(name):
            return RawValue(ending, self._syntax.lines)
        return _JsonValue(ending)


class RawValue:
    """A value without quotes or escapes, read incrementally.

    Args:
        ending: Text that ends the value.
        lines: Whether the value is on its own lines.
    """

    def __init__(self, ending: str, lines: bool) -> None:
        self._endings = (f"\n{ending}", ending) if lines else (ending,)
        self._at_start = lines
        self._opened = False

    def read(self, text: str) -> tuple[int, str, bool]:
        """Returns the number of consumed characters, their JSON, and whether the value ended."""
        if not text:
            return 0, "", False
        start = 1 if self._at_start and text[0] == "\n" else 0
        positions = [(text.find(ending, start), ending) for ending in self._endings]
        found = min(((at, ending) for at, ending in positions if at >= 0), default=None)
        end = found[0] if found else max(start, len(text) - self._held(text[start:]))
        fragment = _quoted(text[start:end])[1:-1]
        if not self._opened and (end > start or found):
            fragment = '"' + fragment
            self._opened = True
        self._at_start = False
        if found:
            return end + len(found[1]), fragment + '"', True
        return end, fragment, False

    def _held(self, text: str) -> int:
        """Returns the number of last characters that may be the beginning of an ending."""
        max_length = min(len(text), len(self._endings[0]) - 1)
        for length in range(max_length, 0, -1):
            if any(ending.startswith(text[-length:]) for ending in self._endings):
                return length
        return 0


class _JsonValue:
    """A JSON value or a Python literal; an ending inside of its JSON strings is only text."""

    def __init__(self, ending: str) -> None:
        self._ending = ending
        self._nesting = Nesting()
        self._seen = 0

    def read(self, text: str) -> tuple[int, str, bool]:
        """Returns the number of consumed characters, their JSON, and whether the value ended."""
        while self._seen < len(text):
            if not self._nesting.inside:
                rest = text[self._seen : self._seen + len(self._ending)]
                if rest == self._ending:
                    return self._seen + len(rest), as_json(text[: self._seen].strip(SPACE)), True
                if self._ending.startswith(rest):
                    break
            self._nesting.feed(text[self._seen])
            self._seen += 1
        return 0, "", False


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

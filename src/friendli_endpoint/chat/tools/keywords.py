"""Python keyword arguments: their grammar, and a reader that converts them to JSON."""

import json

from friendli_endpoint.chat.tools.arguments import Read
from friendli_endpoint.chat.tools.family import ToolSpec
from friendli_endpoint.chat.tools.fields import Field, check_name, fields_of
from friendli_endpoint.chat.tools.form import SPACE, Form, Space, Word
from friendli_endpoint.chat.tools.lark import json_value, quoted
from friendli_endpoint.chat.tools.literal import as_json
from friendli_endpoint.chat.tools.nesting import Nesting

__all__ = ["KeywordArguments", "keyword_rules"]

_NOT_IN_NAMES = frozenset(" \t\r\n=,()[]{}'\"")
_PYTHON = {"boolean": '("True" | "False")', "null": '"None"'}
_FIRST = Form(Space(), Word(_NOT_IN_NAMES), Space(), "=")
_LATER = Form(Space(), ",", Space(), Word(_NOT_IN_NAMES), Space(), "=")
_CLOSING = Form(Space(), ")")


def keyword_rules(tool: ToolSpec, suffix: str) -> str:
    """Returns the Lark rules of a tool's arguments and the closing parenthesis.

    Args:
        tool: The tool.
        suffix: Part of the names of the rules, unique for each tool; the first rule is
            `args_SUFFIX_0`.

    Raises:
        RequestError: The format cannot express the schema of the arguments.
    """
    fields = fields_of(tool)
    first, later = f"args_{suffix}", f"more_{suffix}"
    rules = [f'{first}_{len(fields)}: ")"', f'{later}_{len(fields)}: ")"']
    for index, field in enumerate(fields):
        check_name(field, _NOT_IN_NAMES)
        argument = f"arg_{suffix}_{index}"
        rules.append(f"{argument}: {quoted(field.name + '=')} {_value(field)}")
        skipped = "" if field.required else f" | {first}_{index + 1}"
        rules.append(f"{first}_{index}: {argument} {later}_{index + 1}{skipped}")
        optional = "" if field.required else "?"
        rules.append(f'{later}_{index}: (", " {argument}){optional} {later}_{index + 1}')
    return "\n".join(rules) + "\n"


def _value(field: Field) -> str:
    kind = field.schema.get("type")
    alone = not {"enum", "const", "$ref", "anyOf", "allOf", "oneOf"} & set(field.schema)
    if isinstance(kind, str) and kind in _PYTHON and alone:
        return _PYTHON[kind]
    return json_value(field.schema)


class KeywordArguments:
    """Reads keyword arguments as the properties of a JSON object, each when it is complete."""

    def __init__(self, _name: str = "") -> None:
        self._started = False
        self._name: str | None = None
        self._nesting = Nesting("\"'")
        self._seen = 0

    def read(self, text: str) -> Read:
        """Reads complete arguments, up to the closing parenthesis."""
        at, fragment = 0, ""
        while True:
            if self._name is not None:
                end = self._end(text, at)
                if end is None:
                    return Read(at, fragment)
                fragment += _quoted(self._name) + ":" + as_json(text[at:end].strip(SPACE))
                at, self._name = end, None
            closing = _CLOSING.match(text, at)
            opening = (_LATER if self._started else _FIRST).match(text, at)
            if closing == "maybe" or (opening == "maybe" and closing is None):
                return Read(at, fragment)
            if closing is not None:
                return Read(closing.end, fragment + ("}" if self._started else "{}"), ended=True)
            if opening is None or opening == "maybe":
                return Read(at, fragment, broken=True)
            fragment += "," if self._started else "{"
            self._started = True
            at, self._name = opening.end, opening.name
            self._nesting, self._seen = Nesting("\"'"), 0

    def _end(self, text: str, at: int) -> int | None:
        """Returns the end of the value at `at`, or None; reads each character only once."""
        for index in range(at + self._seen, len(text)):
            if not self._nesting.inside and text[index] in ",)":
                return index
            self._nesting.feed(text[index])
            self._seen += 1
        return None


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

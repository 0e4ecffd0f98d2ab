"""GLM 4.5 and later: `<tool_call>`, a name, and pairs of `<arg_key>` and `<arg_value>`."""

from collections.abc import Sequence
from typing import ClassVar

from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.fields import Field, check_name, fields_of
from friendli_endpoint.chat.tools.form import Ahead, Form, Name, Part, Space, Word
from friendli_endpoint.chat.tools.lark import choice, marked, quoted
from friendli_endpoint.chat.tools.parser import AFTER, START, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, arguments_text, parameter_texts
from friendli_endpoint.chat.tools.xml import XmlArguments, XmlSyntax, raw_names
from friendli_endpoint.chat.tools.xml_values import ValueGrammar

__all__ = ["Glm"]

_OPENING = "<tool_call>"
_CLOSING = "</tool_call>"
_KEY = "<arg_key>"
_KEY_END = "</arg_key>"
_VALUE = "<arg_value>"
_VALUE_END = "</arg_value>"
_NOT_IN_NAMES = frozenset("<>\n")
_SYNTAX = XmlSyntax(
    opening=Form(Space(), _KEY, Word(_NOT_IN_NAMES), _KEY_END, Space(), _VALUE),
    ending=_VALUE_END,
    closing=Form(Space(), _CLOSING),
    lines=False,
)


class Glm:
    """The family of GLM."""

    name: ClassVar[str] = "glm"
    markers: ClassVar[tuple[str, ...]] = (
        *(_OPENING, _CLOSING),
        *(_KEY, _KEY_END, _VALUE, _VALUE_END),
    )

    def recognises(self, template: str) -> bool:
        """Recognises the opening marker and that of keys."""
        return _OPENING in template and _KEY in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar with name, keys and values on separate lines or on one."""
        values = ValueGrammar(_VALUE_END, marker, lines=False)
        calls = choice(_call(tool, values, marker) for tool in tools)
        body = f"{calls} {marker(_CLOSING)}"
        rules = marked(_OPENING, body, "line", marker, required=required, parallel=parallel)
        return f'{rules}line: "\\n"?\n{values.terminals}'

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = Name.of(tool.name for tool in tools)
        raw = {tool.name: raw_names(tool) for tool in tools}

        def call(*before: Part) -> Rule:
            form = Form(*before, _OPENING, Space(), names, Space(), Ahead("<"))
            return Rule(form, AFTER, lambda name: XmlArguments(_SYNTAX, raw[name]))

        first = (call(Space()),)
        return FormParser({START: first, TEXT: (call(),), AFTER: first})

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        return "\n".join(map(_written, calls))

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        return prompt(
            tools,
            f"{_OPENING}NAME\n{_KEY}ARGUMENT{_KEY_END}\n{_VALUE}VALUE{_VALUE_END}\n{_CLOSING}",
        )


def _call(tool: ToolSpec, values: ValueGrammar, marker: Marker) -> str:
    parameters = " ".join(_parameter(field, values, marker) for field in fields_of(tool))
    return f"{quoted(tool.name)} line {parameters}"


def _parameter(field: Field, values: ValueGrammar, marker: Marker) -> str:
    check_name(field, _NOT_IN_NAMES)
    key = f"{marker(_KEY)} {quoted(field.name)} {marker(_KEY_END)}"
    return f"({key} line {marker(_VALUE)} {values.of(field)} line)" + (
        "" if field.required else "?"
    )


def _written(call: WrittenCall) -> str:
    parameters = parameter_texts(call)
    body = f"{arguments_text(call)}\n"
    if parameters is not None:
        body = "".join(
            f"{_KEY}{name}{_KEY_END}\n{_VALUE}{value}{_VALUE_END}\n" for name, value in parameters
        )
    return f"{_OPENING}{call.name}\n{body}{_CLOSING}"

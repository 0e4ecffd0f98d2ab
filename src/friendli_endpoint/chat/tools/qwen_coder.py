"""Qwen3-Coder: `<tool_call>`, `<function=NAME>`, and a `<parameter=NAME>` for each argument."""

import re
from collections.abc import Sequence
from typing import ClassVar

from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.fields import Field, fields_of, unsupported_name
from friendli_endpoint.chat.tools.form import Form, Name, Part, Space, Word
from friendli_endpoint.chat.tools.lark import choice, marked, quoted
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, arguments_text, parameter_texts
from friendli_endpoint.chat.tools.xml import XmlArguments, XmlSyntax, raw_names
from friendli_endpoint.chat.tools.xml_values import ValueGrammar

__all__ = ["QwenCoder"]

_OPENING = "<tool_call>"
_CLOSING = "</tool_call>"
_FUNCTION = "<function="
_FUNCTION_END = "</function>"
_PARAMETER = "<parameter="
_PARAMETER_END = "</parameter>"
_EXPLAINED = re.compile(rf"""{_OPENING}(\s|\\n|['"+])*{_FUNCTION}""")
_NOT_IN_NAMES = frozenset("<>\n")
_SYNTAX = XmlSyntax(
    opening=Form(Space(), _PARAMETER, Word(_NOT_IN_NAMES), ">"),
    ending=_PARAMETER_END,
    closing=Form(Space(), _FUNCTION_END),
    lines=True,
)


class QwenCoder:
    """The family of Qwen3-Coder."""

    name: ClassVar[str] = "qwen_coder"
    markers: ClassVar[tuple[str, ...]] = (_OPENING, _CLOSING)

    def recognises(self, template: str) -> bool:
        """Recognises the tag of a function right after the opening marker."""
        return _EXPLAINED.search(template) is not None and _PARAMETER in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar with each tag and each value on its own lines."""
        values = ValueGrammar(_PARAMETER_END, quoted, lines=True)
        calls = choice(_call(tool, values) for tool in tools)
        body = f'"\\n" {calls} "{_FUNCTION_END}\\n" {marker(_CLOSING)}'
        rules = marked(_OPENING, body, '"\\n"', marker, required=required, parallel=parallel)
        return rules + values.terminals

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = Name.of(tool.name for tool in tools)
        raw = {tool.name: raw_names(tool) for tool in tools}

        def call(*before: Part) -> Rule:
            form = Form(*before, _OPENING, Space(), _FUNCTION, names, ">")
            return Rule(form, TAIL, lambda name: XmlArguments(_SYNTAX, raw[name]))

        closing = Rule(Form(Space(), _CLOSING), AFTER)
        first = (call(Space()),)
        return FormParser({START: first, TEXT: (call(),), TAIL: (closing,), AFTER: first})

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        return "\n".join(map(_written, calls))

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        return prompt(
            tools,
            f"{_OPENING}\n{_FUNCTION}NAME>\n{_PARAMETER}ARGUMENT>\nVALUE\n{_PARAMETER_END}\n"
            f"{_FUNCTION_END}\n{_CLOSING}",
        )


def _call(tool: ToolSpec, values: ValueGrammar) -> str:
    parameters = " ".join(_parameter(field, values) for field in fields_of(tool))
    return f'"{_FUNCTION}{tool.name}>\\n" {parameters}'


def _parameter(field: Field, values: ValueGrammar) -> str:
    if not _NOT_IN_NAMES.isdisjoint(field.name) or not 0 < len(field.name) <= 256:
        raise unsupported_name(field)
    opening = quoted(f"{_PARAMETER}{field.name}>\n")
    return f'({opening} {values.of(field)} "\\n")' + ("" if field.required else "?")


def _written(call: WrittenCall) -> str:
    parameters = parameter_texts(call)
    body = f"{arguments_text(call)}\n"
    if parameters is not None:
        body = "".join(
            f"{_PARAMETER}{name}>\n{value}\n{_PARAMETER_END}\n" for name, value in parameters
        )
    return f"{_OPENING}\n{_FUNCTION}{call.name}>\n{body}{_FUNCTION_END}\n{_CLOSING}"

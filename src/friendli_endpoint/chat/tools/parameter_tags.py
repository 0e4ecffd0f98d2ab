"""Qwen3-Coder and Seed-OSS: `<function=NAME>`, and a `<parameter=NAME>` for each argument."""

import re
from collections.abc import Sequence

from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.fields import Field, check_name, fields_of
from friendli_endpoint.chat.tools.form import Form, Name, Part, Space, Word
from friendli_endpoint.chat.tools.lark import choice, marked, quoted
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, arguments_text, parameter_texts
from friendli_endpoint.chat.tools.xml import XmlArguments, XmlSyntax, raw_names
from friendli_endpoint.chat.tools.xml_values import ValueGrammar

__all__ = ["ParameterTags"]

_FUNCTION = "<function="
_FUNCTION_END = "</function>"
_PARAMETER = "<parameter="
_PARAMETER_END = "</parameter>"
_NOT_IN_NAMES = frozenset("<>\n")


class ParameterTags:
    """The families of Qwen3-Coder and Seed-OSS.

    Args:
        name: Name of the family.
        tag: Tag around a call, without its brackets.
        lines: Whether each value is on lines of its own, between the tags of its parameter.
    """

    def __init__(self, name: str, tag: str, *, lines: bool) -> None:
        self.name = name
        self._opening, self._closing = self.markers = (f"<{tag}>", f"</{tag}>")
        self._explained = re.compile(rf"""{self._opening}(\s|\\n|['"+])*{_FUNCTION}""")
        self._lines = lines
        self._line_end = "\n" if lines else ""
        self._syntax = XmlSyntax(
            opening=Form(Space(), _PARAMETER, Word(_NOT_IN_NAMES), ">"),
            ending=_PARAMETER_END,
            closing=Form(Space(), _FUNCTION_END),
            lines=lines,
        )

    def recognises(self, template: str) -> bool:
        """Recognises the tag of a function right after the opening marker."""
        return self._explained.search(template) is not None and _PARAMETER in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar with each parameter on lines of its own."""
        values = ValueGrammar(_PARAMETER_END, quoted, lines=self._lines)
        calls = choice(self._call(tool, values) for tool in tools)
        body = f'"\\n" {calls} "{_FUNCTION_END}\\n" {marker(self._closing)}'
        rules = marked(self._opening, body, '"\\n"', marker, required=required, parallel=parallel)
        return rules + values.terminals

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = Name.of(tool.name for tool in tools)
        raw = {tool.name: raw_names(tool) for tool in tools}

        def call(*before: Part) -> Rule:
            form = Form(*before, self._opening, Space(), _FUNCTION, names, ">")
            return Rule(form, TAIL, lambda name: XmlArguments(self._syntax, raw[name]))

        closing = Rule(Form(Space(), self._closing), AFTER)
        first = (call(Space()),)
        return FormParser({START: first, TEXT: (call(),), TAIL: (closing,), AFTER: first})

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        return "\n".join(map(self._written, calls))

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        parameter = self._parameter_text("ARGUMENT", "VALUE")
        return prompt(tools, self._call_text("NAME", parameter))

    def _call(self, tool: ToolSpec, values: ValueGrammar) -> str:
        parameters = " ".join(self._parameter(field, values) for field in fields_of(tool))
        return f'"{_FUNCTION}{tool.name}>\\n" {parameters}'

    def _parameter(self, field: Field, values: ValueGrammar) -> str:
        check_name(field, _NOT_IN_NAMES)
        opening = quoted(f"{_PARAMETER}{field.name}>{self._line_end}")
        return f'({opening} {values.of(field)} "\\n")' + ("" if field.required else "?")

    def _written(self, call: WrittenCall) -> str:
        parameters = parameter_texts(call)
        body = f"{arguments_text(call)}\n"
        if parameters is not None:
            body = "".join(self._parameter_text(name, value) for name, value in parameters)
        return self._call_text(call.name, body)

    def _call_text(self, name: str, body: str) -> str:
        return f"{self._opening}\n{_FUNCTION}{name}>\n{body}{_FUNCTION_END}\n{self._closing}"

    def _parameter_text(self, name: str, value: str) -> str:
        end = self._line_end
        return f"{_PARAMETER}{name}>{end}{value}{end}{_PARAMETER_END}\n"

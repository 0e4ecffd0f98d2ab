"""MiniMax M2 and DeepSeek V3.2, V4: tags that invoke a function, with a tag for each parameter."""

import json
from collections.abc import Sequence
from typing import Any

from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.fields import Field, check_name, fields_of, raw_of
from friendli_endpoint.chat.tools.form import Form, Name, OneOf, Part, Space, Word
from friendli_endpoint.chat.tools.lark import choice, marked, quoted
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, arguments_text
from friendli_endpoint.chat.tools.xml import XmlArguments, XmlSyntax, raw_names
from friendli_endpoint.chat.tools.xml_values import ValueGrammar

__all__ = ["InvokeTags"]

_NOT_IN_NAMES = frozenset('<>"\n')


class InvokeTags:
    """The families whose calls are `<invoke name="…">` inside of a block.

    Args:
        name: Name of the family.
        block: Name of the tag around all calls, after the prefix.
        prefix: Text between the bracket and the name of each inner tag.
        typed: Whether a parameter says if it is written without quotes.
    """

    def __init__(self, name: str, block: str, *, prefix: str = "", typed: bool = False) -> None:
        self.name = name
        self._opening, self._closing = f"<{prefix}{block}>", f"</{prefix}{block}>"
        self.markers = (self._opening, self._closing)
        self._invoke, self._invoke_end = f'<{prefix}invoke name="', f"</{prefix}invoke>"
        self._parameter = f'<{prefix}parameter name="'
        self._parameter_end = f"</{prefix}parameter>"
        self._typed = typed
        kind: tuple[Part, ...] = ('" string="', OneOf(("true", "false"))) if typed else ()
        self._syntax = XmlSyntax(
            opening=Form(Space(), self._parameter, Word(_NOT_IN_NAMES), *kind, '">'),
            ending=self._parameter_end,
            closing=Form(Space(), self._invoke_end),
            lines=False,
        )

    def recognises(self, template: str) -> bool:
        """Recognises the tag around all calls."""
        return self._opening in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of one block, with each tag on its own line."""
        values = ValueGrammar(self._parameter_end, quoted, lines=False)
        calls = choice(self._call(tool, values) for tool in tools)
        more = ' ("\\n" item)*' if parallel else ""
        body = f'"\\n" item{more} "\\n" {marker(self._closing)}'
        rules = marked(self._opening, body, "", marker, required=required, parallel=False)
        # DeepSeek writes an empty line in place of no parameters.
        return f'{rules}item: {calls} "\\n"? {quoted(self._invoke_end)}\n{values.terminals}'

    def _call(self, tool: ToolSpec, values: ValueGrammar) -> str:
        parameters = " ".join(self._field(field, values) for field in fields_of(tool))
        opening = quoted(f'{self._invoke}{tool.name}">\n')
        return f"{opening} {parameters}"

    def _field(self, field: Field, values: ValueGrammar) -> str:
        check_name(field, _NOT_IN_NAMES)
        is_raw = "true" if raw_of(field.schema) is not None else "false"
        kind = f'" string="{is_raw}' if self._typed else ""
        opening = quoted(f'{self._parameter}{field.name}{kind}">')
        return f'({opening} {values.of(field)} "\\n")' + ("" if field.required else "?")

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = Name.of(tool.name for tool in tools)
        raw = {tool.name: raw_names(tool) for tool in tools}

        def call(*before: Part) -> Rule:
            form = Form(*before, Space(), self._invoke, names, '">')
            return Rule(form, TAIL, lambda name: XmlArguments(self._syntax, raw[name]))

        first = call(Space(), self._opening)
        return FormParser(
            {
                START: (first,),
                TEXT: (call(self._opening),),
                TAIL: (call(), Rule(Form(Space(), self._closing), AFTER)),
                AFTER: (first,),
            }
        )

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        written = "".join(map(self._written, calls))
        return f"{self._opening}\n{written}{self._closing}"

    def _written(self, call: WrittenCall) -> str:
        body = f"{arguments_text(call)}\n"
        if not isinstance(call.arguments, str):
            body = "".join(map(self._written_parameter, call.arguments.items()))
        return f'{self._invoke}{call.name}">\n{body}{self._invoke_end}\n'

    def _written_parameter(self, parameter: tuple[str, Any]) -> str:
        name, value = parameter
        is_raw = isinstance(value, str)
        kind = f'" string="{"true" if is_raw else "false"}' if self._typed else ""
        text = value if is_raw else json.dumps(value, ensure_ascii=False)
        return f'{self._parameter}{name}{kind}">{text}{self._parameter_end}\n'

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        kind = '" string="true' if self._typed else ""
        return prompt(
            tools,
            f'{self._opening}\n{self._invoke}NAME">\n'
            f'{self._parameter}ARGUMENT{kind}">VALUE{self._parameter_end}\n'
            f"{self._invoke_end}\n{self._closing}",
        )

"""Kimi K2: marker tokens around a section of calls, around each call, and before its arguments.

A call is named by its id, `functions.NAME:INDEX`.
"""

import string
from collections.abc import Sequence
from typing import ClassVar

from friendli_endpoint.chat.tools.arguments import JsonArguments
from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.form import Ahead, Form, Name, Part, Run, Space
from friendli_endpoint.chat.tools.lark import arguments, choice, marked, quoted
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, arguments_text

__all__ = ["KimiK2"]

_CALLS = "<|tool_calls_section_begin|>"
_CALLS_END = "<|tool_calls_section_end|>"
_CALL = "<|tool_call_begin|>"
_ARGUMENTS = "<|tool_call_argument_begin|>"
_CALL_END = "<|tool_call_end|>"
_PREFIX = "functions."
_INDEX = Run(frozenset(string.digits), 1, 6)
_INDEX_PATTERN = "/[0-9]{1,6}/"
_NEXT = "next"


class KimiK2:
    """The family of Kimi K2."""

    name: ClassVar[str] = "kimi_k2"
    markers: ClassVar[tuple[str, ...]] = (_CALLS, _CALL, _ARGUMENTS, _CALL_END, _CALLS_END)

    def recognises(self, template: str) -> bool:
        """Recognises the marker of a section of calls."""
        return _CALLS in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of one section of calls."""
        more = " item*" if parallel else ""
        body = f"item{more} {marker(_CALLS_END)}"
        rules = marked(_CALLS, body, "", marker, required=required, parallel=False)
        calls = choice(
            f"{quoted(f'{_PREFIX}{tool.name}:')} {_INDEX_PATTERN} {marker(_ARGUMENTS)} "
            f"{arguments(tool.parameters)}"
            for tool in tools
        )
        return f"{rules}item: {marker(_CALL)} {calls} {marker(_CALL_END)}\n"

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = Name.of(tool.name for tool in tools)

        def call(*before: Part) -> Rule:
            head = (_PREFIX, names, ":", _INDEX, Space(), _ARGUMENTS)
            form = Form(*before, Space(), _CALL, Space(), *head, Space(), Ahead("{"))
            return Rule(form, TAIL, JsonArguments)

        return FormParser(
            {
                START: (call(Space(), _CALLS),),
                TEXT: (call(_CALLS),),
                TAIL: (Rule(Form(Space(), _CALL_END), _NEXT),),
                _NEXT: (call(), Rule(Form(Space(), _CALLS_END), AFTER)),
                AFTER: (call(Space(), _CALLS),),
            }
        )

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        written = (
            f"{_CALL}{_PREFIX}{call.name}:{index}{_ARGUMENTS}{arguments_text(call)}{_CALL_END}"
            for index, call in enumerate(calls)
        )
        return f"{_CALLS}{''.join(written)}{_CALLS_END}"

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        call = f'{_CALL}{_PREFIX}NAME:0{_ARGUMENTS}{{"ARGUMENT": VALUE}}{_CALL_END}'
        return prompt(tools, f"{_CALLS}{call}{_CALLS_END}")

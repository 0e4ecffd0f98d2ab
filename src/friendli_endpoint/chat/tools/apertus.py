"""Apertus: a JSON list of objects whose only key is the name of a function, between two markers."""

import json
from collections.abc import Sequence
from typing import ClassVar

from friendli_endpoint.chat.tools.arguments import JsonArguments
from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.form import Ahead, Form, Part, Space
from friendli_endpoint.chat.tools.lark import arguments, choice, marked, quoted
from friendli_endpoint.chat.tools.objects import names_in_json
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, arguments_text

__all__ = ["Apertus"]

_OPENING = "<|tools_prefix|>"
_CLOSING = "<|tools_suffix|>"
_NEXT = "next"
_CLOSED = "closed"


class Apertus:
    """The family of Apertus."""

    name: ClassVar[str] = "apertus"
    markers: ClassVar[tuple[str, ...]] = (_OPENING, _CLOSING)

    def recognises(self, template: str) -> bool:
        """Recognises the opening marker."""
        return _OPENING in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of one list of calls."""
        more = ' (", " item)*' if parallel else ""
        body = f'"[" item{more} "]" {marker(_CLOSING)}'
        rules = marked(_OPENING, body, "", marker, required=required, parallel=False)
        return f'{rules}item: {choice(_call(tool) for tool in tools)} "}}"\n'

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = names_in_json(tools)

        def call(*before: Part) -> Rule:
            head = (*before, Space(), "{", Space(), names, Space(), ":", Space(), Ahead("{"))
            return Rule(Form(*head), TAIL, JsonArguments)

        first = call(Space(), _OPENING, Space(), "[")
        return FormParser(
            {
                START: (first,),
                TEXT: (call(_OPENING, Space(), "["),),
                TAIL: (Rule(Form(Space(), "}"), _NEXT),),
                _NEXT: (call(Space(), ","), Rule(Form(Space(), "]"), _CLOSED)),
                _CLOSED: (Rule(Form(Space(), _CLOSING), AFTER), first),
                AFTER: (first,),
            }
        )

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        objects = (f"{{{json.dumps(call.name)}: {arguments_text(call)}}}" for call in calls)
        return f"{_OPENING}[{', '.join(objects)}]{_CLOSING}"

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        return prompt(tools, f'{_OPENING}[{{"NAME": {{"ARGUMENT": VALUE}}}}]{_CLOSING}')


def _call(tool: ToolSpec) -> str:
    return f"{quoted(f'{{{json.dumps(tool.name)}: ')} {arguments(tool.parameters)}"

"""Command R7B and later models of Cohere: a JSON list between markers.

An answer in words has markers around it, too, which are not part of it.
"""

import json
import string
from collections.abc import Sequence
from typing import ClassVar

from friendli_endpoint.chat.tools.arguments import JsonArguments
from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.form import Ahead, Form, OneOf, Part, Run, Space
from friendli_endpoint.chat.tools.lark import arguments, choice, marked, quoted
from friendli_endpoint.chat.tools.objects import names_in_json
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, arguments_text

__all__ = ["CommandR"]

_CALLS = "<|START_ACTION|>"
_CALLS_END = "<|END_ACTION|>"
_TEXT = ("<|START_RESPONSE|>", "<|START_TEXT|>")
_TEXT_END = ("<|END_RESPONSE|>", "<|END_TEXT|>")
_ID = Run(frozenset(string.digits), 1, 10)
_ID_PATTERN = "/[0-9]{1,10}/"
_NEXT = "next"


class CommandR:
    """The family of Command R7B."""

    name: ClassVar[str] = "command_r7b"
    markers: ClassVar[tuple[str, ...]] = (_CALLS, _CALLS_END, *_TEXT, *_TEXT_END)

    def recognises(self, template: str) -> bool:
        """Recognises the marker of a list of calls."""
        return _CALLS in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of one list of calls, optionally after a text in its markers."""
        more = ' (",\\n    " item)*' if parallel else ""
        body = f'"[\\n    " item{more} "\\n]" {marker(_CALLS_END)}'
        around = (f"({' | '.join(map(marker, texts))})?" for texts in (_TEXT, _TEXT_END))
        text = " TEXT ".join(around)
        rules = marked(
            _CALLS, body, "", marker, required=required, parallel=False, text=f"({text})"
        )
        calls = choice(f"{_head(tool)} {arguments(tool.parameters)}" for tool in tools)
        return f'{rules}item: "{{\\"tool_call_id\\": \\"" {_ID_PATTERN} {calls} "}}"\n'

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output; removes the markers around its text."""
        names = names_in_json(tools)
        identity: list[Part] = [*_spaced('"tool_call_id"', ":", '"'), _ID, *_spaced('"', ",")]
        head = _spaced('"tool_name"', ":", names, ",", '"parameters"', ":")

        def calls(*before: Part) -> tuple[Rule, ...]:
            forms = (
                Form(*before, Space(), "{", Space(), *parts, *head, Ahead("{"))
                for parts in ([], identity)
            )
            return tuple(Rule(form, TAIL, JsonArguments) for form in forms)

        first = calls(Space(), _CALLS, Space(), "[")
        text = Rule(Form(Space(), OneOf(_TEXT)), TEXT)
        return FormParser(
            {
                START: (*first, text),
                TEXT: (
                    *calls(_CALLS, Space(), "["),
                    *(Rule(Form(ending), AFTER) for ending in _TEXT_END),
                ),
                TAIL: (Rule(Form(Space(), "}"), _NEXT),),
                _NEXT: (
                    *calls(Space(), ","),
                    Rule(Form(Space(), "]", Space(), _CALLS_END), AFTER),
                ),
                AFTER: (*first, text),
            }
        )

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        written = (
            f'{{"tool_call_id": "{index}", "tool_name": {json.dumps(call.name)}, '
            f'"parameters": {arguments_text(call)}}}'
            for index, call in enumerate(calls)
        )
        items = ",\n    ".join(written)
        return f"{_CALLS}[\n    {items}\n]{_CALLS_END}"

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        call = '{"tool_call_id": "0", "tool_name": "NAME", "parameters": {"ARGUMENT": VALUE}}'
        return prompt(tools, f"{_CALLS}[\n    {call}\n]{_CALLS_END}")


def _spaced(*parts: Part) -> list[Part]:
    return [spaced for part in parts for spaced in (part, Space())]


def _head(tool: ToolSpec) -> str:
    """Returns an expression of a call between its id and its arguments."""
    return quoted(f'", "tool_name": "{tool.name}", "parameters": ')

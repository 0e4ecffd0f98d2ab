"""Solar Open: markers around the id, the name and the arguments of each call."""

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

__all__ = ["Solar"]

_CALLS = "<|tool_calls|>"
_CALL = "<|tool_call:begin|>"
_NAME = "<|tool_call:name|>"
_ARGUMENTS = "<|tool_call:args|>"
_CALL_END = "<|tool_call:end|>"
_ID_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_-")
_ID_PATTERN = "/[a-zA-Z0-9_-]{1,64}/"


class Solar:
    """The family of Solar Open."""

    name: ClassVar[str] = "solar"
    markers: ClassVar[tuple[str, ...]] = (_CALLS, _CALL, _NAME, _ARGUMENTS, _CALL_END)

    def recognises(self, template: str) -> bool:
        """Recognises the marker before a name."""
        return _NAME in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of calls with nothing between them."""
        more = " item*" if parallel else ""
        rules = marked(_CALLS, f"item{more}", "", marker, required=required, parallel=False)
        calls = choice(
            f"{quoted(tool.name)} {marker(_ARGUMENTS)} {arguments(tool.parameters)}"
            for tool in tools
        )
        head = f"{marker(_CALL)} {_ID_PATTERN} {marker(_NAME)}"
        return f"{rules}item: {head} {calls} {marker(_CALL_END)}\n"

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = Name.of(tool.name for tool in tools)
        identity = Run(_ID_CHARACTERS, 1, 64)
        head = (Space(), _CALL, identity, _NAME, names, _ARGUMENTS, Space(), Ahead("{"))

        def call(*before: Part) -> Rule:
            return Rule(Form(*before, *head), TAIL, JsonArguments)

        first = call(Space(), _CALLS)
        return FormParser(
            {
                START: (first,),
                TEXT: (call(_CALLS),),
                TAIL: (Rule(Form(Space(), _CALL_END), AFTER),),
                AFTER: (call(), first),
            }
        )

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        written = (
            f"{_CALL}{number}{_NAME}{call.name}{_ARGUMENTS}{arguments_text(call)}{_CALL_END}"
            for number, call in enumerate(calls, 1)
        )
        return f"{_CALLS}{''.join(written)}"

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        call = f'{_CALL}1{_NAME}NAME{_ARGUMENTS}{{"ARGUMENT": VALUE}}{_CALL_END}'
        return prompt(tools, f"{_CALLS}{call}")

"""Mistral: `[TOOL_CALLS]` and a JSON list; later models write name, `[ARGS]`, arguments."""

import string
from collections.abc import Sequence
from typing import ClassVar

from friendli_endpoint.chat.tools.arguments import JsonArguments
from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.form import Ahead, Form, Name, Part, Run, Space
from friendli_endpoint.chat.tools.lark import arguments, choice, marked, quoted
from friendli_endpoint.chat.tools.objects import call_body, head_form, names_in_json
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, arguments_text, call_objects

__all__ = ["Mistral", "MistralArgs"]

_OPENING = "[TOOL_CALLS]"
_ID = "[CALL_ID]"
_ARGS = "[ARGS]"
_ID_CHARACTERS = frozenset(string.ascii_letters + string.digits)
_ID_PATTERN = "/[a-zA-Z0-9]{9}/"
_NEXT = "next"


class Mistral:
    """The older format: all calls in one list, each with an optional id of nine characters."""

    name: ClassVar[str] = "mistral"
    markers: ClassVar[tuple[str, ...]] = (_OPENING,)

    def recognises(self, template: str) -> bool:
        """Recognises the opening marker."""
        return _OPENING in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of one list of calls."""
        more = ' (", " item)*' if parallel else ""
        rules = marked(
            _OPENING, f'"[" item{more} "]"', "", marker, required=required, parallel=False
        )
        identity = f'(", \\"id\\": \\"" {_ID_PATTERN} "\\"")?'
        return f'{rules}item: {call_body(tools, "arguments")} {identity} "}}"\n'

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = names_in_json(tools)

        def call(*before: Part) -> Rule:
            return Rule(head_form((*before, Space()), names, "arguments"), TAIL, JsonArguments)

        first = call(Space(), _OPENING, Space(), "[")
        identity = Run(_ID_CHARACTERS, 1, 64)
        id_parts: list[Part] = [",", '"id"', ":", '"']
        with_id = [piece for part in id_parts for piece in (Space(), part)]
        return FormParser(
            {
                START: (first,),
                TEXT: (call(_OPENING, Space(), "["),),
                TAIL: (
                    Rule(Form(Space(), "}"), _NEXT),
                    Rule(Form(*with_id, identity, '"', Space(), "}"), _NEXT),
                ),
                _NEXT: (call(Space(), ","), Rule(Form(Space(), "]"), AFTER)),
                AFTER: (first,),
            }
        )

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        return f"{_OPENING}[{', '.join(call_objects(calls, 'arguments'))}]"

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        return prompt(tools, f'{_OPENING}[{{"name": "NAME", "arguments": {{"ARGUMENT": VALUE}}}}]')


class MistralArgs:
    """The newer format: each call with its own markers."""

    name: ClassVar[str] = "mistral_args"
    markers: ClassVar[tuple[str, ...]] = (_OPENING, _ID, _ARGS)

    def recognises(self, template: str) -> bool:
        """Recognises the marker between name and arguments."""
        return _OPENING in template and _ARGS in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of calls with nothing between them."""
        calls = choice(
            f"{quoted(tool.name)} between {arguments(tool.parameters)}" for tool in tools
        )
        between = f"between: ({marker(_ID)} {_ID_PATTERN})? {marker(_ARGS)}\n"
        return marked(_OPENING, calls, "", marker, required=required, parallel=parallel) + between

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = Name.of(tool.name for tool in tools)
        identity = (_ID, Run(_ID_CHARACTERS, 1, 64))

        def calls(*before: Part) -> tuple[Rule, ...]:
            opening = (*before, _OPENING, Space(), names)
            closing = (_ARGS, Space(), Ahead("{"))
            forms = (Form(*opening, *closing), Form(*opening, *identity, *closing))
            return tuple(Rule(form, AFTER, JsonArguments) for form in forms)

        return FormParser({START: calls(Space()), TEXT: calls(), AFTER: calls(Space())})

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        return "".join(f"{_OPENING}{call.name}{_ARGS}{arguments_text(call)}" for call in calls)

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        return prompt(tools, f'{_OPENING}NAME{_ARGS}{{"ARGUMENT": VALUE}}')

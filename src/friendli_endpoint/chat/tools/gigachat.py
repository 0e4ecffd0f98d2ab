"""GigaChat 3.1: one JSON object after `<|function_call|>`, the only call of an answer."""

from collections.abc import Sequence
from typing import ClassVar

from friendli_endpoint.chat.tools.arguments import JsonArguments
from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.form import Form, Space
from friendli_endpoint.chat.tools.lark import marked
from friendli_endpoint.chat.tools.objects import call_body, head_form, names_in_json
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, call_objects

__all__ = ["GigaChat"]

_OPENING = "<|function_call|>"


class GigaChat:
    """The family of GigaChat 3.1."""

    name: ClassVar[str] = "gigachat"
    markers: ClassVar[tuple[str, ...]] = (_OPENING,)

    def recognises(self, template: str) -> bool:
        """Recognises the marker."""
        return _OPENING in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of one call, even if several are allowed."""
        body = f'{call_body(tools, "arguments")} "}}"'
        return marked(_OPENING, body, "", marker, required=required, parallel=False)

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output; it reads several calls, too."""
        names = names_in_json(tools)
        anywhere = Rule(head_form((_OPENING, Space()), names, "arguments"), TAIL, JsonArguments)
        head = head_form((Space(), _OPENING, Space()), names, "arguments")
        next_one = Rule(head, TAIL, JsonArguments)
        closing = Rule(Form(Space(), "}"), AFTER)
        return FormParser(
            {START: (next_one,), TEXT: (anywhere,), TAIL: (closing,), AFTER: (next_one,)}
        )

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        return "\n".join(f"{_OPENING}{call}" for call in call_objects(calls, "arguments"))

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        call = '{"name": "NAME", "arguments": {"ARGUMENT": VALUE}}'
        return prompt(tools, f"{_OPENING}{call}")

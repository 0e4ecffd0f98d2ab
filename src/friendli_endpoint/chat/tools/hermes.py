"""Hermes, Qwen 2.5 and 3, SmolLM2: a JSON object between `<tool_call>` and `</tool_call>`.

Most models know this format, so it is the default for templates without tools.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from friendli_endpoint.chat.tools.arguments import JsonArguments
from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.form import Form, Space
from friendli_endpoint.chat.tools.lark import marked, quoted
from friendli_endpoint.chat.tools.objects import call_body, head_form, names_in_json
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, call_objects

__all__ = ["Hermes"]

_OPENING = "<tool_call>"
_CLOSING = "</tool_call>"
_EXPLAINED = re.compile(rf"""{_OPENING}(\s|\\n|['"+])*\{{+(\s|\\n)*\\*['"]name\b""")
"""The beginning of a call in instructions, or in strings of a template's code."""


class Hermes:
    """The family of Hermes, and the default."""

    name: ClassVar[str] = "hermes"
    markers: ClassVar[tuple[str, ...]] = (_OPENING, _CLOSING)

    def recognises(self, template: str) -> bool:
        """Recognises the opening marker before an object with a name."""
        return _EXPLAINED.search(template) is not None

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar with each marker and each object on its own line."""
        body = f'"\\n" {call_body(tools, "arguments")} "}}\\n" {marker(_CLOSING)}'
        return marked(_OPENING, body, quoted("\n"), marker, required=required, parallel=parallel)

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = names_in_json(tools)
        anywhere = Rule(head_form((_OPENING, Space()), names, "arguments"), TAIL, JsonArguments)
        next_one = Rule(
            head_form((Space(), _OPENING, Space()), names, "arguments"), TAIL, JsonArguments
        )
        closing = Rule(Form(Space(), "}", Space(), _CLOSING), AFTER)
        return FormParser(
            {START: (next_one,), TEXT: (anywhere,), TAIL: (closing,), AFTER: (next_one,)}
        )

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        objects = call_objects(calls, "arguments")
        return "\n".join(f"{_OPENING}\n{call}\n{_CLOSING}" for call in objects)

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt like the one that Hermes models are trained with."""
        return prompt(
            tools,
            f'{_OPENING}\n{{"name": "NAME", "arguments": {{"ARGUMENT": VALUE}}}}\n{_CLOSING}',
        )

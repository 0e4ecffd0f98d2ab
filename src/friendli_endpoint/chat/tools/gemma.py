"""Gemma: `call:NAME{KEY:VALUE}` between markers, with strings between markers instead of quotes.

Gemma 4 and FunctionGemma write the same form with different markers.
"""

import json
from collections.abc import Sequence

from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.fields import fields_of
from friendli_endpoint.chat.tools.form import Form, Name, Part, Space
from friendli_endpoint.chat.tools.gemma_arguments import GemmaArguments
from friendli_endpoint.chat.tools.gemma_values import GemmaGrammar
from friendli_endpoint.chat.tools.lark import choice, marked, quoted
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall

__all__ = ["Gemma"]

_CALL = "call:"


class Gemma:
    """The families of Gemma.

    Args:
        name: Name of the family.
        opening: Marker before a call.
        closing: Marker after a call.
        quote: Marker before and after a string.
    """

    def __init__(self, name: str, opening: str, closing: str, quote: str) -> None:
        self.name = name
        self.markers = (opening, closing, quote)
        self._opening, self._closing, self._quote = opening, closing, quote

    def recognises(self, template: str) -> bool:
        """Recognises the markers of calls and strings."""
        return self._opening in template and self._quote in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of calls with nothing between them, and arguments sorted by name."""
        values = GemmaGrammar(self._quote, marker)
        calls = choice(
            f"{quoted(_CALL + tool.name)} {values.members(fields_of(tool))}" for tool in tools
        )
        body = f"{calls} {marker(self._closing)}"
        rules = marked(self._opening, body, "", marker, required=required, parallel=parallel)
        return rules + values.rules

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = Name.of(tool.name for tool in tools)

        def call(*before: Part) -> Rule:
            form = Form(*before, self._opening, Space(), _CALL, names, "{")
            return Rule(form, TAIL, lambda _name: GemmaArguments(self._quote))

        closing = Rule(Form(Space(), self._closing), AFTER)
        first = (call(Space()),)
        return FormParser({START: first, TEXT: (call(),), TAIL: (closing,), AFTER: first})

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        return "".join(
            f"{self._opening}{_CALL}{call.name}{self._written(call.arguments)}{self._closing}"
            for call in calls
        )

    def _written(self, value: object) -> str:
        if isinstance(value, dict):
            members = sorted(value.items(), key=lambda member: member[0].lower())
            return "{" + ",".join(f"{name}:{self._text(part)}" for name, part in members) + "}"
        return f"{{{value}}}"

    def _text(self, value: object) -> str:
        match value:
            case dict():
                return self._written(value)
            case list():
                return "[" + ",".join(map(self._text, value)) + "]"
            case str() if self._quote not in value:
                return f"{self._quote}{value}{self._quote}"
        return json.dumps(value, ensure_ascii=False)

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        return prompt(tools, f"{self._opening}{_CALL}NAME{{ARGUMENT:VALUE}}{self._closing}")

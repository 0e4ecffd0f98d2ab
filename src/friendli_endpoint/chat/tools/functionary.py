"""Functionary: v3 writes `>>>` and a recipient, v3.1 writes `<function=NAME>`.

The prompt of v3 ends with `>>>`, so its answer begins with a recipient: `all` for the user, or a
function.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from friendli_endpoint.chat.tools.arguments import JsonArguments
from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.form import Ahead, Form, Name, Part, Space
from friendli_endpoint.chat.tools.lark import ANYTHING, arguments, choice, marked, quoted
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, arguments_text
from friendli_endpoint.generation import RequestError

__all__ = ["FunctionaryRecipients", "FunctionaryTags"]

_TO = ">>>"
_USER = "all"
_LINE = "\n"
_OPENING = "<function="
_CLOSING = "</function>"
_EXPLAINED = re.compile(rf"""{_OPENING}[^<>]+>(\s|\\n|['"+])*\{{""")


class FunctionaryRecipients:
    """Functionary v3 and v3.2: a recipient, a new line, and the text or arguments for it."""

    name: ClassVar[str] = "functionary"
    markers: ClassVar[tuple[str, ...]] = ()

    def recognises(self, template: str) -> bool:
        """Recognises the recipient of text for the user."""
        return _TO in template and f"{_TO}{_USER}" in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of text and calls; `>>>` starts a call only before a tool's name."""
        if any(tool.name == _USER for tool in tools):
            raise RequestError(
                f"a tool must not be named {_USER!r}: in this model, that name addresses the user",
                param="tools",
                code="not_supported",
            )
        call = f"call: {choice(_call(tool, '') for tool in tools)}\n"
        more = f' ("{_TO}" call)*' if parallel else ""
        if required:
            return f"start: call{more}\n{call}"
        opened = "".join(
            f"opening_{index}[lazy]: TEXT {quoted(_TO + tool.name + _LINE)}\n"
            f"opened_{index}: opening_{index} {arguments(tool.parameters)}\n"
            for index, tool in enumerate(tools)
        )
        later = choice(f"opened_{index}" for index in range(len(tools)))
        text = f'"{_USER}\\n" (TEXT | {later}{more})'
        return f"start: {text} | call{more}\nTEXT: {ANYTHING}\n{opened}{call}"

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = Name.of(tool.name for tool in tools)

        def parts(*before: Part) -> tuple[Rule, ...]:
            return (
                Rule(Form(*before, f"{_USER}\n"), TEXT),
                Rule(Form(*before, names, "\n", Space(), Ahead("{")), AFTER, JsonArguments),
            )

        return FormParser(
            {START: (*parts(), *parts(_TO)), TEXT: parts(_TO), AFTER: parts(Space(), _TO)}
        )

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        return "".join(f"{_TO}{call.name}{_LINE}{arguments_text(call)}" for call in calls)

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        return prompt(tools, f'{_TO}NAME\n{{"ARGUMENT": VALUE}}')


class FunctionaryTags:
    """Functionary v3.1: JSON between tags that name the function."""

    name: ClassVar[str] = "functionary_tags"
    markers: ClassVar[tuple[str, ...]] = ()

    def recognises(self, template: str) -> bool:
        """Recognises the tag before an object, unless the template has tags of parameters."""
        return _EXPLAINED.search(template) is not None and "<parameter=" not in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of calls, optionally on separate lines."""
        body = f"{choice(_call(tool, '>') for tool in tools)} {quoted(_CLOSING)}"
        return marked(_OPENING, body, '"\\n"?', quoted, required=required, parallel=parallel)

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = Name.of(tool.name for tool in tools)
        head: tuple[Part, ...] = (_OPENING, names, ">", Space(), Ahead("{"))
        anywhere = Rule(Form(*head), TAIL, JsonArguments)
        next_one = Rule(Form(Space(), *head), TAIL, JsonArguments)
        closing = Rule(Form(Space(), _CLOSING), AFTER)
        return FormParser(
            {START: (next_one,), TEXT: (anywhere,), TAIL: (closing,), AFTER: (next_one,)}
        )

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        return "".join(f"{_OPENING}{call.name}>{arguments_text(call)}{_CLOSING}" for call in calls)

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        return prompt(tools, f'{_OPENING}NAME>{{"ARGUMENT": VALUE}}{_CLOSING}')


def _call(tool: ToolSpec, closing: str) -> str:
    """Returns a call after its opening; `closing`, or else a new line, ends the name."""
    name = quoted(tool.name + (closing or _LINE))
    return f"{name} {arguments(tool.parameters)}"

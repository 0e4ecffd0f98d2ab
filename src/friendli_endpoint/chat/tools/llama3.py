"""Llama 3.1 and 3.2: a JSON object with name and parameters, optionally after `<|python_tag|>`.

The marker is optional: an answer that begins with the object of a known tool is a call.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from friendli_endpoint.chat.tools.arguments import JsonArguments
from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.form import Form, Part, Space
from friendli_endpoint.chat.tools.lark import (
    SPACES,
    any_but,
    arguments,
    choice,
    escaped,
    is_token,
    names_pattern,
)
from friendli_endpoint.chat.tools.objects import call_body, head_form, names_in_json
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, call_objects

__all__ = ["Llama3"]

_TAG = "<|python_tag|>"
_EXPLAINED = re.compile(r"""\{\s*\\*"name\\*":[^{}]*"parameters\\*":""")
_KEYS = ("parameters", "arguments")


class Llama3:
    """The family of Llama 3.1 and 3.2."""

    name: ClassVar[str] = "llama3"
    markers: ClassVar[tuple[str, ...]] = (_TAG,)

    def recognises(self, template: str) -> bool:
        """Recognises Llama's tag or headers, with an object that has the key only Llama uses."""
        known = any(text in template for text in (_TAG, "<|start_header_id|>", "<|header_start|>"))
        return known and _EXPLAINED.search(template) is not None

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of objects separated by `; `, or of text that is not a call."""
        call = f'call: {call_body(tools, "parameters")} "}}"\n'
        more = ' ("; " call)*' if parallel else ""
        if required:
            return f"start: call{more}\n{call}"
        tag = marker(_TAG)
        tagged = f" | TEXT {tag} call{more}" if is_token(tag) else ""
        object_of_tool = _opening(names_pattern(tools)) + "(?s:.*)"
        text = any_but(f"({object_of_tool}|(?s:.*){escaped(_TAG)}(?s:.*))")
        direct = choice(_direct(tool) for tool in tools)
        return (
            f"start: TEXT | direct{more}{tagged}\n"
            f'TEXT: {text}\ndirect: {direct} "}}"\n'
            f"{call if parallel or tagged else ''}"
        )

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = names_in_json(tools)

        def calls(*before: Part) -> tuple[Rule, ...]:
            forms = (head_form((*before, Space()), names, key) for key in _KEYS)
            return tuple(Rule(form, TAIL, JsonArguments) for form in forms)

        first = (*calls(), *calls(Space(), _TAG))
        return FormParser(
            {
                START: first,
                TEXT: calls(_TAG),
                TAIL: (Rule(Form(Space(), "}"), AFTER),),
                AFTER: (*first, *calls(Space(), ";")),
            }
        )

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        return "; ".join(call_objects(calls, "parameters"))

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt like the one in Llama's own template."""
        return prompt(tools, '{"name": "NAME", "parameters": {"ARGUMENT": VALUE}}')


def _opening(names: str) -> str:
    """Returns a regular expression for the beginning of a call's object, up to the name."""
    return f'{SPACES}\\{{{SPACES}"name"{SPACES}:{SPACES}"{names}"'


def _direct(tool: ToolSpec) -> str:
    """Returns an object with any white space in its beginning, which free text may not match."""
    rest = f'{SPACES},{SPACES}"parameters"{SPACES}:{SPACES}'
    return f"/{_opening(escaped(tool.name))}{rest}/ {arguments(tool.parameters)}"

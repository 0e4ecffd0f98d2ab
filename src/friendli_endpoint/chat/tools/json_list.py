"""Calls as one JSON list of objects with a name and arguments, after a marker.

Several families differ only in the marker, and in the text that closes the list.
"""

import string
from collections.abc import Sequence
from typing import Final

from friendli_endpoint.chat.tools.arguments import JsonArguments
from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.form import Form, Part, Run, Space
from friendli_endpoint.chat.tools.lark import marked_by_any
from friendli_endpoint.chat.tools.objects import call_body, head_form, names_in_json
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule
from friendli_endpoint.chat.tools.written import WrittenCall, call_objects

__all__ = ["JsonList"]

_NEXT = "next"
_CLOSED = "closed"
_ID: Final = Run(frozenset(string.ascii_letters + string.digits + "_-"), 1, 64)
_WITH_ID: Final[tuple[Part, ...]] = (
    *(Space(), ",", Space(), '"id"', Space(), ":", Space(), '"'),
    *(_ID, '"', Space(), "}"),
)
"""The rest of an object with the id of its call, as some templates write earlier calls."""


class JsonList:
    """A family whose calls are one JSON list between two texts.

    Args:
        name: Name of the family.
        opening: Marker before the list.
        closing: Marker after the list; empty if nothing closes it.
        also: Further texts that open a list, for models that do not always write the marker.
        requires: Text that a template must contain besides the opening marker.
    """

    def __init__(
        self,
        name: str,
        opening: str,
        closing: str = "",
        *,
        also: tuple[str, ...] = (),
        requires: str = "",
    ) -> None:
        self.name = name
        self.markers = (opening, *([closing] if closing else ()))
        self._opening, self._closing = opening, closing
        self._openings = (opening, *also)
        self._requires = requires

    def recognises(self, template: str) -> bool:
        """Recognises the opening marker together with what is special to the family."""
        return self._opening in template and self._requires in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of one list of calls."""
        more = ' (", " item)*' if parallel else ""
        closed = f" {marker(self._closing)}" if self._closing else ""
        body = f'"[" item{more} "]"{closed}'
        rules = marked_by_any(self._openings, body, marker, required=required)
        return f'{rules}item: {call_body(tools, "arguments")} "}}"\n'

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output."""
        names = names_in_json(tools)

        def call(*before: Part) -> Rule:
            return Rule(head_form((*before, Space()), names, "arguments"), TAIL, JsonArguments)

        first = tuple(call(Space(), opening, Space(), "[") for opening in self._openings)
        closed = Form(Space(), self._closing) if self._closing else None
        return FormParser(
            {
                START: first,
                TEXT: tuple(call(opening, Space(), "[") for opening in self._openings),
                TAIL: (Rule(Form(Space(), "}"), _NEXT), Rule(Form(*_WITH_ID), _NEXT)),
                _NEXT: (
                    call(Space(), ","),
                    Rule(Form(Space(), "]"), _CLOSED if closed else AFTER),
                ),
                _CLOSED: (Rule(closed, AFTER), *first) if closed else (),
                AFTER: first,
            }
        )

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        objects = ", ".join(call_objects(calls, "arguments"))
        return f"{self._opening}[{objects}]{self._closing}"

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        call = '[{"name": "NAME", "arguments": {"ARGUMENT": VALUE}}]'
        return prompt(tools, f"{self._opening}{call}{self._closing}")

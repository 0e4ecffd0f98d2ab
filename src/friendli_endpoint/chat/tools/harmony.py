"""Harmony, the format of gpt-oss: messages with a channel, calls with a recipient.

An answer is a sequence of messages. Text for the user is in the channel `final`, or in `commentary`
before a call; a call is a message to `functions.NAME`, in either order of recipient and channel.
The marker after a call usually ends the output, so an answer has one call.
"""

from collections.abc import Sequence
from typing import ClassVar

from friendli_endpoint.chat.tools.arguments import JsonArguments
from friendli_endpoint.chat.tools.fallback import prompt
from friendli_endpoint.chat.tools.family import Marker, ToolSpec
from friendli_endpoint.chat.tools.form import Ahead, Form, Name, OneOf, Part, Space
from friendli_endpoint.chat.tools.lark import (
    any_but,
    arguments,
    choice,
    escaped,
    is_token,
    quoted,
    without,
)
from friendli_endpoint.chat.tools.parser import (
    AFTER,
    REASONING,
    START,
    TAIL,
    TEXT,
    FormParser,
    Rule,
)
from friendli_endpoint.chat.tools.written import WrittenCall, arguments_text

__all__ = ["Harmony"]

_CALL_END = "<|call|>"
_CHANNEL = "<|channel|>"
_CONSTRAIN = "<|constrain|>"
_END = "<|end|>"
_MESSAGE = "<|message|>"
_BEGIN = "<|start|>"
_ROLE = "assistant"
_TO = "to=functions."
_BORDERS = (_CHANNEL, _MESSAGE, _END, _BEGIN, _CALL_END)
_TYPE: tuple[Part, ...] = (
    *(Space(), OneOf((_CONSTRAIN, "")), Space(), OneOf(("json", "code", "")), Space(), _MESSAGE),
)


class Harmony:
    """The family of gpt-oss."""

    name: ClassVar[str] = "harmony"
    markers: ClassVar[tuple[str, ...]] = (_CALL_END, _CHANNEL, _CONSTRAIN, _END, _MESSAGE, _BEGIN)

    def recognises(self, template: str) -> bool:
        """Recognises the marker of channels, and the recipient of calls."""
        return _CHANNEL in template and _TO in template

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a grammar of messages, of which the last may be a call.

        The first message may begin without a header, or with that of a message after reasoning.
        """
        begin = f"{marker(_BEGIN)} {quoted(_ROLE)}"
        channel, message = marker(_CHANNEL), marker(_MESSAGE)
        kind = f'(" " {marker(_CONSTRAIN)} ("json" | " json") | " json")?'
        to = choice(
            f"({_call(tool, channel)}) {kind} {message} {arguments(tool.parameters)}"
            for tool in tools
        )
        call = f"call: {to}\n"
        if required:
            return f"start: ({begin})? call\n{call}"
        ended, rules = f"TEXT {marker(_END)}", f"TEXT: {without(_BORDERS)}\n"
        if not is_token(marker(_END)):
            # One terminal: with two, a greedy lexer would consume the marker as text.
            ended, rules = "ended", f"{rules}ended[lazy]: TEXT {quoted(_END)}\n"
        borders = "|".join(escaped(border) for border in _BORDERS)
        first = any_but(f"( ?{escaped(_TO)}(?s:.*)|(?s:.*)({borders})(?s:.*))")
        return (
            f"start: FIRST | ({begin})? before* (call | last)\nFIRST: {first}\n{rules}{call}"
            f'before: {channel} ("commentary" | "analysis") {message} {ended} {begin}\n'
            f'last: {channel} ("commentary" | "final") {message} TEXT\n'
        )

    def parser(self, tools: Sequence[ToolSpec]) -> FormParser:
        """Returns a parser of one output; removes the headers of messages."""
        names = Name.of(tool.name for tool in tools)
        begin = (_BEGIN, _ROLE, Space())
        first, later, spaced = (
            (*_by_role(names, *before), *_by_channel(names, *before))
            for before in ((Space(),), begin, (Space(), *begin))
        )
        ends = (Rule(Form(_END), AFTER),)
        inside = (*later, *_by_channel(names), *ends)
        return FormParser(
            {
                START: (*first, *spaced),
                TEXT: inside,
                REASONING: inside,
                TAIL: (Rule(Form(Space(), OneOf((_CALL_END, _END))), AFTER), *spaced),
                AFTER: (*first, *spaced),
            }
        )

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them."""
        written = (
            f"{_CHANNEL}commentary {_TO}{call.name} {_CONSTRAIN}json{_MESSAGE}"
            f"{arguments_text(call)}{_CALL_END}"
            for call in calls
        )
        return f"{_BEGIN}{_ROLE}".join(written)

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a prompt with the format that the models are trained on."""
        header = f"{_CHANNEL}commentary {_TO}NAME {_CONSTRAIN}json{_MESSAGE}"
        return prompt(tools, f'{header}{{"ARGUMENT": VALUE}}{_CALL_END}')


def _call(tool: ToolSpec, channel: str) -> str:
    """Returns an expression of the header of a call, up to the recipient or the channel."""
    recipient = f"{_TO}{tool.name}"
    by_role = f'{quoted(f" {recipient}")} {channel} "commentary"'
    return f"{by_role} | {channel} {quoted(f'commentary {recipient}')}"


def _by_role(names: Name, *before: Part) -> tuple[Rule, ...]:
    """Returns the rule of calls whose recipient precedes the channel."""
    channel = (_CHANNEL, OneOf(("commentary", "analysis")))
    form = Form(*before, _TO, names, Space(), *channel, *_TYPE, Space(), Ahead("{"))
    return (Rule(form, TAIL, JsonArguments),)


def _by_channel(names: Name, *before: Part) -> tuple[Rule, ...]:
    """Returns the rules of messages that begin with their channel."""
    recipient = (OneOf(("commentary", "analysis")), Space(), _TO, names)
    call = Form(*before, _CHANNEL, *recipient, *_TYPE, Space(), Ahead("{"))
    return (
        Rule(call, TAIL, JsonArguments),
        Rule(Form(*before, _CHANNEL, OneOf(("commentary", "final")), *_TYPE), TEXT),
        Rule(Form(*before, _CHANNEL, "analysis", *_TYPE), REASONING),
    )

"""The state machine behind every family's parser.

A family is a table of rules for each state. A rule whose form matches leads to the next state, and
may begin a call, whose arguments are read until they end. If no rule matches, the output is text,
and the parser searches it for the forms of the state `TEXT`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from friendli_endpoint.chat.tools.arguments import Arguments
from friendli_endpoint.chat.tools.family import (
    CallArguments,
    CallBegin,
    CallEnd,
    CallEvent,
    CallReasoning,
    CallText,
)
from friendli_endpoint.chat.tools.form import SPACE, Form, FormMatch

__all__ = ["AFTER", "REASONING", "START", "TAIL", "TEXT", "FormParser", "Rule", "Table"]

START = "start"
"""The start of an output."""
TEXT = "text"
"""Free text; the forms in this state begin with a literal text."""
REASONING = "reasoning"
"""Reasoning after the start of an answer; the forms in this state begin with a literal text."""
TAIL = "tail"
"""After the arguments of a call that is not closed yet."""
AFTER = "after"
"""After a call."""

_FREE: Mapping[str, type[CallText | CallReasoning]] = {TEXT: CallText, REASONING: CallReasoning}
"""The states of free text, with their events."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A transition of the state machine.

    Attributes:
        form: The form to match.
        then: The next state; for a form that begins a call, the state after the arguments.
        arguments: Returns a reader of the arguments of a tool, by its name; None if no call begins.
    """

    form: Form
    then: str
    arguments: Callable[[str], Arguments] | None = None


Table: TypeAlias = Mapping[str, tuple[Rule, ...]]
Maybe: TypeAlias = Literal["maybe"]


class FormParser:
    """Streaming parser of one output, driven by a table.

    Args:
        table: Rules of each state; the first that matches wins. A state without rules is text.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._state = START
        self._held = ""
        self._finished = False
        self._calls = 0
        self._arguments: Arguments | None = None

    def feed(self, text: str) -> list[CallEvent]:
        """Reads the next chunk of the output; returns the events that are certain."""
        self._held += text
        return list(self._events()) if text else []

    def finish(self) -> list[CallEvent]:
        """Ends the output; an incomplete form is text."""
        self._finished = True
        return list(self._events())

    def _events(self) -> Iterator[CallEvent]:
        while self._held:
            before = (self._state, self._arguments, len(self._held))
            if self._arguments is not None:
                yield from self._read(self._arguments)
            elif self._state in _FREE:
                yield from self._search(_FREE[self._state])
            else:
                yield from self._expect()
            if before == (self._state, self._arguments, len(self._held)):
                return

    def _read(self, arguments: Arguments) -> Iterator[CallEvent]:
        """Passes text to the reader of the current call's arguments."""
        read = arguments.read(self._held)
        index = self._calls - 1
        self._held = self._held[read.consumed :]
        if read.fragment:
            yield CallArguments(index, read.fragment)
        if read.ended:
            yield CallEnd(index)
            self._arguments = None
        elif read.broken:
            self._arguments = None
            self._state = TEXT
        elif self._finished:
            self._held = ""

    def _search(self, event: type[CallText | CallReasoning]) -> Iterator[CallEvent]:
        """Yields text or reasoning, up to the next form that is allowed in it."""
        rules = self._table.get(self._state, ())
        at = 0
        while (at := _nearest(rules, self._held, at)) < len(self._held):
            matched = self._matched(rules, at)
            if matched == "maybe":
                break
            if matched is not None:
                if at:
                    yield event(self._held[:at])
                yield from self._follow(*matched)
                return
            at += 1
        if at:
            yield event(self._held[:at])
            self._held = self._held[at:]

    def _expect(self) -> Iterator[CallEvent]:
        """Follows the form that matches; if none does, switches to text."""
        matched = self._matched(self._table.get(self._state, ()), 0)
        if matched == "maybe":
            return
        if matched is not None:
            yield from self._follow(*matched)
        elif self._finished and self._closing():
            self._held = ""
        else:
            self._state = TEXT

    def _closing(self) -> bool:
        """Whether the rest of the output belongs to calls: an incomplete ending, or white space."""
        if self._state == AFTER:
            return not self._held.strip(SPACE)
        rules = self._table.get(self._state, ())
        return self._state != START and any(
            rule.arguments is None and rule.form.match(self._held) == "maybe" for rule in rules
        )

    def _matched(self, rules: tuple[Rule, ...], at: int) -> tuple[Rule, FormMatch] | Maybe | None:
        for rule in rules:
            outcome = rule.form.match(self._held, at)
            if outcome == "maybe":
                if not self._finished:
                    return outcome
            elif outcome is not None:
                return rule, outcome
        return None

    def _follow(self, rule: Rule, match: FormMatch) -> Iterator[CallEvent]:
        self._held = self._held[match.end :]
        self._state = rule.then
        if rule.arguments is not None:
            assert match.name is not None
            self._calls += 1
            self._arguments = rule.arguments(match.name)
            yield CallBegin(self._calls - 1, match.name)


def _nearest(rules: tuple[Rule, ...], text: str, at: int) -> int:
    """Returns the first index from `at` on where a form may begin; the end if there is none."""
    positions = [
        _find(rule.form.first, text, at) for rule in rules if isinstance(rule.form.first, str)
    ]
    return min(positions, default=len(text))


def _find(opening: str, text: str, at: int) -> int:
    found = text.find(opening, at)
    if found >= 0:
        return found
    for start in range(max(at, len(text) - len(opening) + 1), len(text)):
        if opening.startswith(text[start:]):
            return start
    return len(text)

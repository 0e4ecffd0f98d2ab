"""The state machine behind every family's parser: states, and rules that lead from one to another.

A family is a table. In each state some forms may come; one that comes leads to another state, and
may begin a call, whose arguments are read until they end. Where none of them comes, what is there
is text, and the machine looks for the forms of the state `TEXT` at every place in it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from friendli_endpoint.chat.tools.arguments import Arguments
from friendli_endpoint.chat.tools.family import CallArguments, CallBegin, CallEnd, Event, Text
from friendli_endpoint.chat.tools.form import SPACE, Form, Match

__all__ = ["AFTER", "START", "TAIL", "TEXT", "FormParser", "Rule", "Table"]

START = "start"
"""Where an output begins."""
TEXT = "text"
"""Where free text stands; the forms here begin with a text of their own."""
TAIL = "tail"
"""Behind the arguments, where the call is not closed yet."""
AFTER = "after"
"""Behind a call."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A form, and what follows when it comes.

    Attributes:
        form: What comes.
        then: The next state; that behind the arguments where the form begins a call.
        arguments: Makes a reader of the arguments of a tool; None where no call begins.
    """

    form: Form
    then: str
    arguments: Callable[[str], Arguments] | None = None


Table: TypeAlias = Mapping[str, tuple[Rule, ...]]
Maybe: TypeAlias = Literal["maybe"]


class FormParser:
    """Reads one output by a table.

    Args:
        table: Rules of each state, the first that matches wins; a state without rules is text.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._state = START
        self._held = ""
        self._finished = False
        self._calls = 0
        self._arguments: Arguments | None = None

    def feed(self, text: str) -> list[Event]:
        """Takes the next piece of the output."""
        self._held += text
        return list(self._events()) if text else []

    def finish(self) -> list[Event]:
        """Takes the end of the output; a form that is not whole by now is text."""
        self._finished = True
        return list(self._events())

    def _events(self) -> Iterator[Event]:
        while self._held:
            before = (self._state, self._arguments, len(self._held))
            if self._arguments is not None:
                yield from self._read(self._arguments)
            elif self._state == TEXT:
                yield from self._search()
            else:
                yield from self._expect()
            if before == (self._state, self._arguments, len(self._held)):
                return

    def _read(self, arguments: Arguments) -> Iterator[Event]:
        """Hands text to the arguments of the call that is going on."""
        read = arguments.read(self._held)
        index = self._calls - 1
        self._held = self._held[read.taken :]
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

    def _search(self) -> Iterator[Event]:
        """Gives out text, up to where one of the forms that may stand in it comes."""
        rules = self._table.get(TEXT, ())
        at = 0
        while (at := _nearest(rules, self._held, at)) < len(self._held):
            matched = self._matched(rules, at)
            if matched == "maybe":
                break
            if matched is not None:
                if at:
                    yield Text(self._held[:at])
                yield from self._follow(*matched)
                return
            at += 1
        if at:
            yield Text(self._held[:at])
            self._held = self._held[at:]

    def _expect(self) -> Iterator[Event]:
        """Follows the form that comes next; where there is none, text has begun."""
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
        """Whether what is left at the end belongs to calls: their unfinished end, or a gap."""
        if self._state == AFTER:
            return not self._held.strip(SPACE)
        rules = self._table.get(self._state, ())
        return self._state != START and any(
            rule.arguments is None and rule.form.match(self._held) == "maybe" for rule in rules
        )

    def _matched(self, rules: tuple[Rule, ...], at: int) -> tuple[Rule, Match] | Maybe | None:
        for rule in rules:
            outcome = rule.form.match(self._held, at)
            if outcome == "maybe":
                if not self._finished:
                    return outcome
            elif outcome is not None:
                return rule, outcome
        return None

    def _follow(self, rule: Rule, match: Match) -> Iterator[Event]:
        self._held = self._held[match.end :]
        self._state = rule.then
        if rule.arguments is not None:
            assert match.name is not None
            self._calls += 1
            self._arguments = rule.arguments(match.name)
            yield CallBegin(self._calls - 1, match.name)


def _nearest(rules: tuple[Rule, ...], text: str, at: int) -> int:
    """The first place from `at` on where a form may begin; the end if there is none."""
    places = [
        _place(rule.form.first, text, at) for rule in rules if isinstance(rule.form.first, str)
    ]
    return min(places, default=len(text))


def _place(opening: str, text: str, at: int) -> int:
    found = text.find(opening, at)
    if found >= 0:
        return found
    for start in range(max(at, len(text) - len(opening) + 1), len(text)):
        if opening.startswith(text[start:]):
            return start
    return len(text)

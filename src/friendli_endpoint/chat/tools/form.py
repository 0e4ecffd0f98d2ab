"""Forms: short pieces of syntax that are matched while their text is still coming in.

A form answers one of three things about the beginning of a text: it matches, it cannot match, or
it may yet match when more text comes. The first two never change when more text comes, which is
why the parsers built on forms do not depend on how their input is cut.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = [
    "MOST_SPACE",
    "SPACE",
    "Ahead",
    "Form",
    "Match",
    "Name",
    "Outcome",
    "Run",
    "Space",
    "Word",
]

SPACE: Final = " \t\r\n"
MOST_SPACE: Final = 16
MOST_WORD: Final = 256


@dataclass(frozen=True, slots=True)
class Space:
    """At most `MOST_SPACE` characters of white space, or none."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """A text that must follow but is not taken; the last part of a form."""

    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """Between `least` and `most` characters of a set; what follows begins with none of them."""

    characters: frozenset[str]
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Name:
    """One of several texts, each of which stands for a name."""

    names: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, names: Iterable[str]) -> "Name":
        """Names that are written as they are."""
        return cls(tuple((name, name) for name in names))


@dataclass(frozen=True, slots=True)
class Word:
    """A name that is not known before: between 1 and `MOST_WORD` characters, none of `stop`."""

    stop: frozenset[str]


Part: TypeAlias = str | Space | Ahead | Run | Name | Word


@dataclass(frozen=True, slots=True)
class Match:
    """A form matches.

    Attributes:
        end: Where the text that it takes ends.
        name: The name in it, if it has one.
    """

    end: int
    name: str | None = None


Outcome: TypeAlias = Match | Literal["maybe"] | None


class Form:
    """A sequence of parts, of which the last is a text.

    Args:
        parts: Texts that stand for themselves, and parts that vary.
    """

    def __init__(self, *parts: Part) -> None:
        self._parts = parts
        self.first = parts[0]

    def match(self, text: str, at: int = 0) -> Outcome:
        """Whether the form matches `text` from `at` on."""
        return self._match(text, at, 0, None)

    def _match(self, text: str, at: int, index: int, name: str | None) -> Outcome:
        while index < len(self._parts):
            part = self._parts[index]
            if isinstance(part, Name):
                return self._names(part, text, at, index)
            taken = _taken(part, text, at)
            if taken is None or taken == "maybe":
                return taken
            if isinstance(part, Word):
                name = text[at:taken]
            at = taken
            index += 1
        return Match(at, name)

    def _names(self, part: Name, text: str, at: int, index: int) -> Outcome:
        """The first name with which the rest matches, too; one name may begin like another."""
        for written, name in part.names:
            outcome: Outcome | int = _taken(written, text, at)
            if isinstance(outcome, int):
                outcome = self._match(text, outcome, index + 1, name)
            if outcome is not None:
                return outcome
        return None


def _taken(
    part: str | Space | Ahead | Run | Word, text: str, at: int
) -> int | Literal["maybe"] | None:
    """Where a part that begins at `at` ends."""
    match part:
        case str():
            if text.startswith(part, at):
                return at + len(part)
            return "maybe" if part.startswith(text[at:]) else None
        case Ahead():
            end = _taken(part.text, text, at)
            return at if isinstance(end, int) else end
        case Space():
            return _run(SPACE, 0, MOST_SPACE, text, at)
        case Run():
            return _run(part.characters, part.least, part.most, text, at)
        case Word():
            return _word(part.stop, text, at)


def _run(
    characters: Container[str], least: int, most: int, text: str, at: int
) -> int | Literal["maybe"] | None:
    end = at
    while end < len(text) and end - at < most and text[end] in characters:
        end += 1
    if end == len(text) and end - at < most:
        return "maybe"
    return end if end - at >= least else None


def _word(stop: Container[str], text: str, at: int) -> int | Literal["maybe"] | None:
    for end in range(at, min(len(text), at + MOST_WORD + 1)):
        if text[end] in stop:
            return end if end > at else None
    return "maybe" if len(text) - at <= MOST_WORD else None

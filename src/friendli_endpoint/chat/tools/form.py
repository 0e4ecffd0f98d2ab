"""Forms: short patterns that are matched while their text is still arriving.

Matching a form against the beginning of a text has one of three outcomes: a match, no match, or
"maybe", if more text could complete it. More text never changes the first two, so the parsers built
on forms do not depend on the chunk boundaries of their input.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = [
    "MAX_SPACE",
    "SPACE",
    "Ahead",
    "Form",
    "FormMatch",
    "Name",
    "OneOf",
    "Outcome",
    "Run",
    "Space",
    "Word",
]

SPACE: Final = " \t\r\n"
MAX_SPACE: Final = 16
MAX_WORD: Final = 256


@dataclass(frozen=True, slots=True)
class Space:
    """0 to `MAX_SPACE` characters of white space."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """A lookahead: a text that must follow but is not consumed; the last part of a form."""

    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """`min_length` to `max_length` characters of a set, followed by a character outside of it."""

    characters: frozenset[str]
    min_length: int
    max_length: int


@dataclass(frozen=True, slots=True)
class Name:
    """One of several texts, each the written form of a name: pairs of text and name."""

    names: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, names: Iterable[str]) -> "Name":
        """Returns a part for names that are written unchanged."""
        return cls(tuple((name, name) for name in names))


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several texts, none of which is a prefix of an earlier one; the last may be empty."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """A name that is not known in advance: 1 to `MAX_WORD` characters, none of `stop`."""

    stop: frozenset[str]


Part: TypeAlias = str | Space | Ahead | Run | Name | OneOf | Word


@dataclass(frozen=True, slots=True)
class FormMatch:
    """A match of a form.

    Attributes:
        end: End of the consumed text, as an index.
        name: The matched name, or None.
    """

    end: int
    name: str | None = None


Outcome: TypeAlias = FormMatch | Literal["maybe"] | None


class Form:
    """A sequence of parts; the last one is a text or a lookahead.

    Args:
        parts: Literal texts and variable parts.

    Attributes:
        first: The first part.
    """

    def __init__(self, *parts: Part) -> None:
        self._parts = parts
        self.first = parts[0]

    def match(self, text: str, at: int = 0) -> Outcome:
        """Matches the form against `text`, starting at index `at`."""
        return self._match(text, at, 0, None)

    def _match(self, text: str, at: int, index: int, name: str | None) -> Outcome:
        while index < len(self._parts):
            part = self._parts[index]
            if isinstance(part, Name):
                return self._alternatives(part.names, text, at, index)
            if isinstance(part, OneOf):
                texts = [(written, name) for written in part.texts]
                return self._alternatives(texts, text, at, index)
            end = _end_of(part, text, at)
            if end is None or end == "maybe":
                return end
            if isinstance(part, Word):
                name = text[at:end]
            at = end
            index += 1
        return FormMatch(at, name)

    def _alternatives(
        self, alternatives: Iterable[tuple[str, str | None]], text: str, at: int, index: int
    ) -> Outcome:
        """Matches the first text after which the rest matches; texts may share a prefix."""
        for written, name in alternatives:
            outcome: Outcome | int = _end_of(written, text, at)
            if isinstance(outcome, int):
                outcome = self._match(text, outcome, index + 1, name)
            if outcome is not None:
                return outcome
        return None


def _end_of(
    part: str | Space | Ahead | Run | Word, text: str, at: int
) -> int | Literal["maybe"] | None:
    """Returns the end of a part that starts at `at`, "maybe", or None if it does not match."""
    match part:
        case str():
            if text.startswith(part, at):
                return at + len(part)
            return "maybe" if part.startswith(text[at:]) else None
        case Ahead():
            end = _end_of(part.text, text, at)
            return at if isinstance(end, int) else end
        case Space():
            return _run(SPACE, 0, MAX_SPACE, text, at)
        case Run():
            return _run(part.characters, part.min_length, part.max_length, text, at)
        case Word():
            return _word(part.stop, text, at)


def _run(
    characters: Container[str], min_length: int, max_length: int, text: str, at: int
) -> int | Literal["maybe"] | None:
    end = at
    while end < len(text) and end - at < max_length and text[end] in characters:
        end += 1
    if end == len(text) and end - at < max_length:
        return "maybe"
    return end if end - at >= min_length else None


def _word(stop: Container[str], text: str, at: int) -> int | Literal["maybe"] | None:
    for end in range(at, min(len(text), at + MAX_WORD + 1)):
        if text[end] in stop:
            return end if end > at else None
    return "maybe" if len(text) - at <= MAX_WORD else None

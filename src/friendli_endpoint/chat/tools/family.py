"""What a family of models is asked for when tools are in play, and what is read of its output.

A family is one wire form of tool calls. It knows how to recognise the chat templates that use the
form, how to force it (a grammar) and how to read it (a parser); it knows no tokens, no HTTP and
no engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

__all__ = [
    "CallArguments",
    "CallBegin",
    "CallEnd",
    "CallParser",
    "Event",
    "Family",
    "Marker",
    "Text",
    "ToolSpec",
]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool that may be called.

    Attributes:
        name: Its name: not empty, and of the characters that names of functions have.
        description: What it does, in the caller's words.
        parameters: JSON schema of its arguments, which are an object; prepared for the compiler.
    """

    name: str
    description: str | None
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Text:
    """Output that belongs to no call."""

    text: str


@dataclass(frozen=True, slots=True)
class CallBegin:
    """A call of a known tool begins; calls are numbered from 0."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """More of a call's arguments; the fragments make up exactly its JSON text."""

    index: int
    fragment: str


@dataclass(frozen=True, slots=True)
class CallEnd:
    """A call's arguments are whole."""

    index: int


Event: TypeAlias = Text | CallBegin | CallArguments | CallEnd

Marker: TypeAlias = Callable[[str], str]
"""The Lark form of a marker: a quoted string, or `<[ID]>` where it is one control token."""


class CallParser(Protocol):
    """Reads one output; how it is cut into pieces makes no difference to what is read."""

    def feed(self, text: str) -> list[Event]:
        """Takes the next piece; answers what is certain by now."""
        ...

    def finish(self) -> list[Event]:
        """Takes the end of the output; answers what had been held back."""
        ...


class Family(Protocol):
    """One wire form of tool calls.

    Attributes:
        name: What the family is called in settings.
        markers: Texts in which the form is written and that a vocabulary may hold as control
            tokens; the parser must be fed their text even then.
    """

    @property
    def name(self) -> str:
        """What the family is called in settings."""
        ...

    @property
    def markers(self) -> tuple[str, ...]:
        """Texts that may be control tokens."""
        ...

    def recognises(self, template: str) -> bool:
        """Whether the Jinja source of a chat template writes calls in this form."""
        ...

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """A Lark grammar of the whole output.

        Args:
            tools: At least one; the tools that may be called.
            required: The output is calls and nothing else; otherwise it is free text, which ends
                where a call begins.
            parallel: Whether more than one call may be made.
            marker: The Lark form of markers.

        Raises:
            RequestError: The form cannot carry what a tool's schema asks for.
        """
        ...

    def parser(self, tools: Sequence[ToolSpec]) -> CallParser:
        """A parser of one output; names of other tools make no call."""
        ...

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """A system message that explains the form, for templates that have no place for tools."""
        ...

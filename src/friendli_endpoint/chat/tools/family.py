"""Families of models: the interface for writing and parsing one format of tool calls.

A family is one wire format of tool calls. It recognises the chat templates that use the format, and
provides a grammar that enforces it and a parser that reads it. It is independent of tokens, HTTP
and engines.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from friendli_endpoint.chat.tools.written import WrittenCall

__all__ = [
    "CallArguments",
    "CallBegin",
    "CallEnd",
    "CallEvent",
    "CallParser",
    "CallReasoning",
    "CallText",
    "Family",
    "Marker",
    "ToolSpec",
]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool that may be called.

    Attributes:
        name: Its name: 1 to 64 letters, digits, dots, dashes and underscores.
        description: The caller's description, or None.
        parameters: JSON schema of its arguments object, rewritten for the grammar compiler.
    """

    name: str
    description: str | None
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CallText:
    """Output text outside of calls."""

    text: str


@dataclass(frozen=True, slots=True)
class CallReasoning:
    """Reasoning between the parts of an answer, in formats that have it there."""

    text: str


@dataclass(frozen=True, slots=True)
class CallBegin:
    """The start of a call of a known tool; calls are numbered from 0."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """A fragment of a call's arguments; the fragments concatenate to the exact JSON text."""

    index: int
    fragment: str


@dataclass(frozen=True, slots=True)
class CallEnd:
    """The end of a call, with complete arguments."""

    index: int


CallEvent: TypeAlias = CallText | CallReasoning | CallBegin | CallArguments | CallEnd

Marker: TypeAlias = Callable[[str], str]
"""Returns the Lark form of a marker: a quoted string, or `<[ID]>` for a control token."""


class CallParser(Protocol):
    """Streaming parser of one output; the result does not depend on the chunk boundaries."""

    def feed(self, text: str) -> list[CallEvent]:
        """Reads the next chunk; returns the events that are certain."""
        ...

    def finish(self) -> list[CallEvent]:
        """Ends the output; returns the events held back until now. Call it once, last."""
        ...


class Family(Protocol):
    """One wire format of tool calls; immutable, so any thread may use it.

    Attributes:
        name: Name of the family in settings.
        markers: Texts of the format that a vocabulary may contain as control tokens; the parser
            must be fed their text even then. The first one may interrupt reasoning.
    """

    @property
    def name(self) -> str:
        """Name of the family in settings."""
        ...

    @property
    def markers(self) -> tuple[str, ...]:
        """Texts of the format that may be control tokens."""
        ...

    def recognises(self, template: str) -> bool:
        """Whether the Jinja source of a chat template explains this format, and no similar one.

        Only asked of a template that does not write the calls of earlier answers.
        """
        ...

    def grammar(
        self, tools: Sequence[ToolSpec], *, required: bool, parallel: bool, marker: Marker
    ) -> str:
        """Returns a Lark grammar of the whole output, in the dialect of llguidance.

        Args:
            tools: The tools that may be called, at least one.
            required: Whether the output is calls and nothing else; otherwise it is free text,
                which ends where a call begins.
            parallel: Whether more than one call is allowed.
            marker: Returns the Lark form of a marker.

        Raises:
            RequestError: The format cannot express a tool's schema.
        """
        ...

    def parser(self, tools: Sequence[ToolSpec]) -> CallParser:
        """Returns a parser of one output; a call of a tool outside of `tools` is parsed as text."""
        ...

    def call_text(self, calls: Sequence[WrittenCall]) -> str:
        """Returns calls as the model writes them, for templates that do not write calls.

        Args:
            calls: The calls of one earlier answer, at least one. Their strings come from users;
                the rest of the text may become control tokens of the prompt.
        """
        ...

    def fallback_prompt(self, tools: Sequence[ToolSpec]) -> str:
        """Returns a system message that explains the format, for templates without tools."""
        ...

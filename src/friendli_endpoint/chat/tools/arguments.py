"""Streaming readers of a call's arguments, which find their end and convert them to JSON.

JSON arguments are passed through unchecked: the grammar enforces their schema, and truncated
arguments must reach the client as they are.
"""

from dataclasses import dataclass
from typing import Protocol

from friendli_endpoint.chat.tools.nesting import Nesting

__all__ = ["Arguments", "JsonArguments", "Read"]


@dataclass(frozen=True, slots=True)
class Read:
    """Result of reading some text.

    Attributes:
        consumed: Number of characters consumed; the next call gets the rest again, with more.
        fragment: JSON text that they add to the arguments.
        ended: Whether the arguments are complete.
        broken: Whether the rest is not valid as arguments.
    """

    consumed: int
    fragment: str
    ended: bool = False
    broken: bool = False


class Arguments(Protocol):
    """Streaming reader of the arguments of one call."""

    def read(self, text: str) -> Read:
        """Reads as much as possible of the text that has not been consumed yet.

        Args:
            text: The rest of the previous text, followed by new text.
        """
        ...


class JsonArguments:
    """Passes a JSON object through; the text begins with its brace."""

    def __init__(self, _name: str = "") -> None:
        self._nesting = Nesting()

    def read(self, text: str) -> Read:
        """Consumes the text up to the end of the object."""
        for index, character in enumerate(text):
            self._nesting.feed(character)
            if not self._nesting.inside:
                return Read(index + 1, text[: index + 1], ended=True)
        return Read(len(text), text)

"""Arguments of a call while they come in: where they end, and what they are as JSON.

JSON arguments go through character by character. They are not checked here: the grammar has seen
to them, and what was cut off must be handed on as it is.
"""

from dataclasses import dataclass
from typing import Protocol

from friendli_endpoint.chat.tools.nesting import Nesting

__all__ = ["Arguments", "JsonArguments", "Read"]


@dataclass(frozen=True, slots=True)
class Read:
    """What came of a stretch of text.

    Attributes:
        taken: How many of its characters were taken; the others come again, with more text.
        fragment: JSON that these add to the arguments.
        ended: Whether the arguments are whole.
        broken: Whether the rest can be no arguments.
    """

    taken: int
    fragment: str
    ended: bool = False
    broken: bool = False


class Arguments(Protocol):
    """Reads the arguments of one call."""

    def read(self, text: str) -> Read:
        """Takes as much as it can of the text that has not been taken yet."""
        ...


class JsonArguments:
    """A JSON object, as the model wrote it; the text begins with its brace."""

    def __init__(self, _name: str = "") -> None:
        self._nesting = Nesting()

    def read(self, text: str) -> Read:
        """Takes all, up to the end of the object."""
        for index, character in enumerate(text):
            self._nesting.take(character)
            if not self._nesting.inside:
                return Read(index + 1, text[: index + 1], ended=True)
        return Read(len(text), text)

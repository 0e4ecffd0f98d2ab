"""Reading position in a pattern."""

import re

__all__ = ["Cursor"]


class Cursor:
    """Reading position in a text.

    Args:
        text: The text.

    Attributes:
        text: The text.
        position: Number of characters that have been read.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    @property
    def at_end(self) -> bool:
        """Whether all characters have been read."""
        return self.position >= len(self.text)

    def startswith(self, *prefixes: str) -> bool:
        """Whether the rest of the text starts with one of these; does not advance."""
        return self.text.startswith(prefixes, self.position)

    def skip(self, prefix: str) -> bool:
        """Reads a prefix if the rest of the text starts with it; returns whether it does."""
        found = self.startswith(prefix)
        self.position += len(prefix) * found
        return found

    def peek(self) -> str:
        """Returns the next character without reading it; empty at the end."""
        return self.text[self.position : self.position + 1]

    def next(self) -> str:
        """Reads a character; returns an empty string at the end."""
        character = self.peek()
        self.position += len(character)
        return character

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Reads the match of a regular expression at this position, if there is one."""
        found = pattern.match(self.text, self.position)
        if found:
            self.position = found.end()
        return found

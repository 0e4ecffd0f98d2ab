"""A place in a pattern that is being read."""

import re

__all__ = ["Cursor"]


class Cursor:
    """A place in a text.

    Args:
        text: What is read.

    Attributes:
        text: The same.
        at: How many characters of it have been read.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return self.at >= len(self.text)

    def sees(self, *signs: str) -> bool:
        """Whether one of these comes next."""
        return self.text.startswith(signs, self.at)

    def took(self, sign: str) -> bool:
        """Reads this if it comes next."""
        taken = self.sees(sign)
        self.at += len(sign) * taken
        return taken

    def next(self) -> str:
        """Reads a character; empty where nothing is left."""
        sign = self.text[self.at : self.at + 1]
        self.at += len(sign)
        return sign

    def took_match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Reads what a regular expression matches here."""
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

"""Streaming tracker of the nesting in a value: brackets of all kinds, and strings."""

__all__ = ["Nesting"]


class Nesting:
    """Tracks the nesting of a value, character by character; brackets in strings do not count.

    Args:
        quotes: Characters that open a string and close it again.
    """

    def __init__(self, quotes: str = '"') -> None:
        self._quotes = quotes
        self._depth = 0
        self._quote = ""
        self._escaped = False

    @property
    def inside(self) -> bool:
        """Whether a bracket or a string is open."""
        return self._depth > 0 or self._quote != ""

    def feed(self, character: str) -> None:
        """Reads the next character."""
        if self._quote:
            self._in_string(character)
        elif character in self._quotes:
            self._quote = character
        elif character in "{[(":
            self._depth += 1
        elif character in "}])":
            self._depth -= 1

    def _in_string(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
        elif character == "\\":
            self._escaped = True
        elif character == self._quote:
            self._quote = ""

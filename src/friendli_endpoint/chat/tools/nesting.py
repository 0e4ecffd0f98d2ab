"""How deep a place in a value is nested: brackets of all kinds, and strings that hide them."""

__all__ = ["Nesting"]


class Nesting:
    """Goes through a value character by character.

    Args:
        quotes: Characters that open a string, which the same character closes.
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

    def take(self, character: str) -> None:
        """Goes on by a character."""
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

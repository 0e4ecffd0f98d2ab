"""Which teams are told apart, so that no caller can make metrics without end."""

import re

__all__ = ["OTHER", "Teams"]

OTHER = "other"
"""What all those together are called that are not told apart."""

_ALLOWED = re.compile(r"[A-Za-z0-9_.:/@-]{1,64}")


class Teams:
    """The teams that came first, up to a number.

    Args:
        most: How many are told apart.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def find(self, asked: str) -> str:
        """The team of a header, if it is known; no header is no team."""
        return asked if not asked or asked in self._known else OTHER

    def admit(self, asked: str) -> str:
        """The team of a header, known from now on if there is room and it has a fit name."""
        if len(self._known) < self._most and _ALLOWED.fullmatch(asked):
            self._known.add(asked)
        return self.find(asked)

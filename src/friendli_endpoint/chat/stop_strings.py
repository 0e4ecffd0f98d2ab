"""Streaming stop-string matcher (Aho and Corasick 1975).

The stop string that completes first ends the text; of two that complete with the same byte, the
one that began earlier wins. The result therefore does not depend on how the text was split into
tokens.
"""

from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["DelayedStopMatcher", "StopMatch", "StopMatcher", "StopSet"]


@dataclass(frozen=True, slots=True)
class StopMatch:
    """A complete stop string.

    Attributes:
        end: Number of bytes of the chunk up to and including the stop string's last byte.
        length: Length of the stop string in bytes.
    """

    end: int
    length: int


class StopSet:
    """Compiled stop strings; read-only, so any number of matchers may share a set.

    A state is a prefix of a stop string. States that only continue a prefix come one after the
    other, so that a byte takes 13 bytes: 64 stop strings of 4,096 bytes take 3.3 MiB.

    Args:
        stops: At least one, none empty.

    Attributes:
        fallback: For each state, the state of its longest proper suffix.
        held: For each state, the number of last bytes that may begin a stop string.
        match: For each state, the length in bytes of the stop string complete in it, or 0.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._read = bytearray(1)
        self._chained = bytearray(1)
        self._branches: dict[int, dict[int, int]] = {}
        self.fallback = array("I", [0])
        self.held = array("I", [0])
        self.match = array("I", [0])
        for stop in stops:
            self._add(stop.encode())
        self._link()

    def _add(self, stop: bytes) -> None:
        state = 0
        for byte in stop:
            state = self._next(state, byte) or self._append(state, byte)
        self.match[state] = len(stop)

    def _append(self, state: int, byte: int) -> int:
        following = len(self._read)
        is_chained = following == state + 1
        self._read.append(byte)
        self._chained.append(is_chained)
        if not is_chained:
            self._branches.setdefault(state, {})[byte] = following
        self.fallback.append(0)
        self.held.append(self.held[state] + 1)
        self.match.append(0)
        return following

    def _link(self) -> None:
        ready = deque(self._children(0))
        while ready:
            state = ready.popleft()
            behind = self.fallback[state]
            self.match[state] = self.match[state] or self.match[behind]
            children = self._children(state)
            if not children:
                self.held[state] = self.held[behind]
            for following in children:
                self.fallback[following] = self.step(behind, self._read[following])
            ready.extend(children)

    def _children(self, state: int) -> list[int]:
        children = list(self._branches.get(state, {}).values())
        if state + 1 < len(self._chained) and self._chained[state + 1]:
            children.append(state + 1)
        return children

    def _next(self, state: int, byte: int) -> int:
        """Returns the state of the prefix that is one byte longer, or 0."""
        following = state + 1
        if (
            following < len(self._read)
            and self._chained[following]
            and self._read[following] == byte
        ):
            return following
        branches = self._branches.get(state)
        return branches.get(byte, 0) if branches else 0

    def step(self, state: int, byte: int) -> int:
        """Returns the state after one more byte."""
        while not (following := self._next(state, byte)):
            if state == 0:
                return 0
            state = self.fallback[state]
        return following


class StopMatcher:
    """Streaming matcher of one text against a set of stop strings.

    Args:
        stops: The stop strings.
    """

    def __init__(self, stops: StopSet) -> None:
        self._stops = stops
        self._state = 0

    @property
    def held(self) -> int:
        """Number of the last bytes that may be the beginning of a stop string."""
        return self._stops.held[self._state]

    def feed(self, chunk: bytes, enabled: bool = True) -> StopMatch | None:
        """Reads the next bytes.

        Args:
            chunk: The next bytes of the text.
            enabled: Whether a stop string that completes in this chunk counts.

        Returns:
            The stop string that completes first, if one does and counts; reading ends there.
        """
        for index, byte in enumerate(chunk):
            self._state = self._stops.step(self._state, byte)
            length = self._stops.match[self._state]
            if length and enabled:
                return StopMatch(index + 1, length)
        return None


class DelayedStopMatcher:
    """Streaming matcher that ignores stop strings which complete in the first tokens.

    The text may arrive later than the tokens that wrote it; the tokens decide whether it counts.

    Args:
        stops: The stop strings.
        min_tokens: Number of first tokens in which a completed stop string is ignored.
    """

    def __init__(self, stops: StopSet, min_tokens: int) -> None:
        self._matcher = StopMatcher(stops)
        self._ignored_tokens = min_tokens
        self._ignored_bytes = 0
        self._written = 0

    @property
    def held(self) -> int:
        """Number of the last bytes that may be the beginning of a stop string."""
        return self._matcher.held

    def next_token(self, size: int) -> None:
        """Counts the next token.

        Args:
            size: Length of the token in bytes.
        """
        self._written += size
        if self._ignored_tokens:
            self._ignored_tokens -= 1
            self._ignored_bytes = self._written

    def feed(self, text: bytes, num_after: int = 0) -> StopMatch | None:
        """Reads the next bytes.

        Args:
            text: More of the answer.
            num_after: Number of bytes of the counted tokens after it.

        Returns:
            The stop string that completes first, if one does and counts; reading ends there.
        """
        begin = self._written - num_after - len(text)
        ignored = max(0, self._ignored_bytes - begin)
        self._matcher.feed(text[:ignored], enabled=False)
        match = self._matcher.feed(text[ignored:])
        return match and StopMatch(ignored + match.end, match.length)

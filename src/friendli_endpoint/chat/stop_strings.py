"""Finding stop strings in a text that arrives in pieces (Aho and Corasick 1975).

The first stop string to be complete ends the text; of two that complete with the same byte, the
one that began earlier does. So the answer does not depend on how the text was cut into tokens.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["DelayedStopMatcher", "Match", "StopMatcher", "StopSet"]


@dataclass(frozen=True, slots=True)
class Match:
    """A stop string is complete.

    Attributes:
        end: Bytes of the piece up to and with the last byte of the stop string.
        length: Bytes of the stop string.
    """

    end: int
    length: int


class StopSet:
    """Stop strings, compiled; shared by all who look for them.

    Args:
        stops: At least one, none empty.

    Attributes:
        next: For each state the states that follow it, by byte.
        fallback: For each state the state of its longest proper suffix.
        held: For each state how many bytes may be the beginning of a stop string.
        match: For each state the length of the stop string that is complete in it, or 0.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.next: list[dict[int, int]] = [{}]
        self.fallback = [0]
        self.held = [0]
        self.match = [0]
        for stop in stops:
            self._add(stop.encode())
        self._link()

    def _add(self, stop: bytes) -> None:
        state = 0
        for byte in stop:
            following = self.next[state].get(byte)
            if following is None:
                following = self.next[state][byte] = len(self.next)
                self.next.append({})
                self.fallback.append(0)
                self.held.append(self.held[state] + 1)
                self.match.append(0)
            state = following
        self.match[state] = len(stop)

    def _link(self) -> None:
        ready = deque(self.next[0].values())
        while ready:
            state = ready.popleft()
            behind = self.fallback[state]
            self.match[state] = self.match[state] or self.match[behind]
            if not self.next[state]:
                self.held[state] = self.held[behind]
            for byte, following in self.next[state].items():
                self.fallback[following] = self.step(behind, byte)
                ready.append(following)

    def step(self, state: int, byte: int) -> int:
        """The state after one more byte."""
        while byte not in self.next[state]:
            if state == 0:
                return 0
            state = self.fallback[state]
        return self.next[state][byte]


class StopMatcher:
    """Reads one text against a set of stop strings.

    Args:
        stops: What to look for.
    """

    def __init__(self, stops: StopSet) -> None:
        self._stops = stops
        self._state = 0

    @property
    def held(self) -> int:
        """How many of the last bytes may be the beginning of a stop string."""
        return self._stops.held[self._state]

    def feed(self, piece: bytes, armed: bool = True) -> Match | None:
        """Reads on.

        Args:
            piece: The next bytes of the text.
            armed: Whether a stop string that is complete counts.

        Returns:
            The stop string that is complete first, if one is and it counts; reading ends there.
        """
        for index, byte in enumerate(piece):
            self._state = self._stops.step(self._state, byte)
            length = self._stops.match[self._state]
            if length and armed:
                return Match(index + 1, length)
        return None


class DelayedStopMatcher:
    """Reads an answer against stop strings that do not count in the first tokens of the output.

    Text may come later than the tokens that wrote it, and is judged by those.

    Args:
        stops: What to look for.
        min_tokens: In how many tokens they do not count.
    """

    def __init__(self, stops: StopSet, min_tokens: int) -> None:
        self._matcher = StopMatcher(stops)
        self._unarmed_tokens = min_tokens
        self._unarmed_bytes = 0
        self._written = 0

    @property
    def held(self) -> int:
        """How many of the last bytes may be the beginning of a stop string."""
        return self._matcher.held

    def next_token(self, size: int) -> None:
        """Counts a token of so many bytes."""
        self._written += size
        if self._unarmed_tokens:
            self._unarmed_tokens -= 1
            self._unarmed_bytes = self._written

    def feed(self, text: bytes) -> Match | None:
        """Reads on.

        Args:
            text: More of the answer, up to the last byte of the tokens that were counted.

        Returns:
            The stop string that is complete first, if one is and it counts; reading ends there.
        """
        unarmed = max(0, self._unarmed_bytes - (self._written - len(text)))
        self._matcher.feed(text[:unarmed], armed=False)
        match = self._matcher.feed(text[unarmed:])
        return match and Match(unarmed + match.end, match.length)

"""How much may wait, and when who is turned away should come again."""

import math
from collections import deque
from collections.abc import Callable
from threading import Lock
from time import monotonic

from friendli_endpoint.generation import RequestError

__all__ = ["Admission"]

REMEMBERED = 32
"""Starts that the present rate is taken from."""

LONGEST_WAIT = 600
SHORTEST_WAIT = 1


class Admission:
    """Counts what waits, and the rate at which it goes on; for all threads.

    Args:
        requests: Most requests that may wait.
        tokens: Most prompt tokens that may wait, all together; one request may always.
        clock: Seconds that only grow.
    """

    def __init__(self, requests: int, tokens: int, clock: Callable[[], float] = monotonic) -> None:
        self._most_requests = requests
        self._most_tokens = tokens
        self._clock = clock
        self._lock = Lock()
        self._requests = 0
        self._tokens = 0
        self._starts: deque[float] = deque(maxlen=REMEMBERED)
        self._turned_away: deque[float] = deque()

    def enter(self, tokens: int) -> None:
        """A request with a prompt of so many tokens begins to wait.

        Raises:
            RequestError: 429: there is no room; it says when there should be.
        """
        with self._lock:
            full = self._requests >= self._most_requests
            if full or (self._requests and self._tokens + tokens > self._most_tokens):
                wait = self._wait()
                raise RequestError(
                    f"{self._requests} requests with {self._tokens:,} prompt tokens are waiting, "
                    f"and no more may; try again in {wait} s",
                    status=429,
                    code="queue_full",
                    retry_after=wait,
                )
            self._requests += 1
            self._tokens += tokens

    def start(self, tokens: int) -> None:
        """A request that waited is being worked on."""
        self.leave(tokens)
        with self._lock:
            self._starts.append(self._clock())

    def leave(self, tokens: int) -> None:
        """A request waits no more."""
        with self._lock:
            self._requests -= 1
            self._tokens -= tokens

    def _wait(self) -> int:
        """Whole seconds until there should be room, behind all who were told of a time to come."""
        now = self._clock()
        while self._turned_away and self._turned_away[0] <= now:
            self._turned_away.popleft()
        wait = (len(self._turned_away) + 1) * self._seconds_per_start(now)
        seconds = min(max(math.ceil(wait), SHORTEST_WAIT), LONGEST_WAIT)
        self._turned_away.append(now + seconds)
        return seconds

    def _seconds_per_start(self, now: float) -> float:
        """How long one start takes at the present rate; a second where nothing is known."""
        if not self._starts:
            return 1.0
        return max(now - self._starts[0], 1e-3) / len(self._starts)

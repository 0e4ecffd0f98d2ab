"""Admission control: bounds on the queue, and the `retry_after` of rejected requests."""

import math
from collections import deque
from collections.abc import Callable
from threading import Lock
from time import monotonic

from friendli_endpoint.generation import RequestError

__all__ = ["Admission"]

MAX_STARTS = 32
"""Number of recent starts from which the current rate is measured."""

MIN_WAIT, MAX_WAIT = 1, 600
"""Bounds of `retry_after`, in seconds."""


class Admission:
    """Counts queued requests and tokens, and the rate of starts; any thread may use it.

    Args:
        max_requests: Maximum number of queued requests.
        max_tokens: Maximum number of prompt tokens of all queued requests together; a single
            request is always admitted to an empty queue.
        clock: Monotonic clock, in seconds.
    """

    def __init__(
        self, max_requests: int, max_tokens: int, clock: Callable[[], float] = monotonic
    ) -> None:
        self._max_requests = max_requests
        self._max_tokens = max_tokens
        self._clock = clock
        self._lock = Lock()
        self._requests = 0
        self._tokens = 0
        self._starts: deque[float] = deque(maxlen=MAX_STARTS)
        self._retry_times: deque[float] = deque()

    def enter(self, tokens: int) -> None:
        """Adds a request to the queue.

        Args:
            tokens: Number of tokens of its prompt.

        Raises:
            RequestError: 429: the queue is full; `retry_after` says when there should be space.
        """
        with self._lock:
            full = self._requests >= self._max_requests
            if full or (self._requests and self._tokens + tokens > self._max_tokens):
                wait = self._retry_after()
                raise RequestError(
                    f"the queue is full: {self._requests} requests with {self._tokens:,} prompt "
                    f"tokens are waiting; try again in {wait} s",
                    status=429,
                    code="queue_full",
                    retry_after=wait,
                )
            self._requests += 1
            self._tokens += tokens

    def start(self, tokens: int) -> None:
        """Removes a request from the queue because its prefill begins."""
        self.leave(tokens)
        with self._lock:
            self._starts.append(self._clock())

    def leave(self, tokens: int) -> None:
        """Removes a request from the queue."""
        with self._lock:
            self._requests -= 1
            self._tokens -= tokens

    def _retry_after(self) -> int:
        """Returns whole seconds until there should be space for one more request.

        Rejected requests whose retry time has not come yet are expected to go first.
        """
        now = self._clock()
        while self._retry_times and self._retry_times[0] <= now:
            self._retry_times.popleft()
        wait = (len(self._retry_times) + 1) * self._seconds_per_start(now)
        seconds = min(max(math.ceil(wait), MIN_WAIT), MAX_WAIT)
        self._retry_times.append(now + seconds)
        return seconds

    def _seconds_per_start(self, now: float) -> float:
        """Returns the mean time between recent starts; 1 s before the first start."""
        if not self._starts:
            return 1.0
        return max(now - self._starts[0], 1e-3) / len(self._starts)

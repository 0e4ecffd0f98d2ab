"""Admission control: bounds on the queue, and the `retry_after` of rejected requests."""

import math
from collections import deque
from collections.abc import Callable
from threading import Lock
from time import monotonic

from friendli_endpoint.generation import RequestError

__all__ = ["Admission"]

MAX_DEPARTURES = 32
"""Number of requests that left the queue last, from which the current rate is measured."""

MIN_WAIT, MAX_WAIT = 1, 60
"""Bounds of `retry_after`, in seconds: clients wait for a minute at most."""


class Admission:
    """Counts queued requests and tokens, and how fast the queue moves; any thread may use it.

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
        self._used_seconds = 0.0  # in which the queue was not empty, until `_used_since`
        self._used_since = clock()
        # In seconds of use; the first one is the start of the measurement.
        self._departures = deque([0.0], maxlen=1 + MAX_DEPARTURES)
        self._last_retry_at = clock()

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
            self._use()
            self._requests += 1
            self._tokens += tokens

    def leave(self, tokens: int) -> None:
        """Removes a request from the queue: its prefill begins, or it ends before that."""
        with self._lock:
            self._departures.append(self._use())
            self._requests -= 1
            self._tokens -= tokens

    def _use(self) -> float:
        """Returns the seconds until now in which the queue was not empty."""
        now = self._clock()
        self._used_seconds += now - self._used_since if self._requests else 0.0
        self._used_since = now
        return self._used_seconds

    def _retry_after(self) -> int:
        """Returns whole seconds until there should be space for one more request.

        Rejected requests get successive times, as the queue moves on for each. Many never return,
        or return early and are rejected again, so after the time in which the present queue should
        have become empty, the times begin again.
        """
        now, step = self._clock(), self._seconds_per_departure()
        retry_at = max(now, self._last_retry_at) + step
        if retry_at - now > min(MAX_WAIT, self._requests * step):
            retry_at = now + step
        self._last_retry_at = retry_at
        return min(max(math.ceil(retry_at - now), MIN_WAIT), MAX_WAIT)

    def _seconds_per_departure(self) -> float:
        """Returns the mean time between recent departures, without the time of an empty queue."""
        seconds = max(self._use() - self._departures[0], 1e-3)
        return seconds / max(len(self._departures) - 1, 1)

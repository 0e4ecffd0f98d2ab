"""Admission control: bounds on the queue, and the `retry_after` of rejected requests."""

import math
import os
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic

from friendli_endpoint.files import format_size
from friendli_endpoint.generation import GenerationRequest, Grammar, RequestError

__all__ = ["Admission", "Demand", "resident_memory"]

MAX_DEPARTURES = 32
"""Number of requests that left the queue last, from which the current rate is measured."""

MIN_WAIT, MAX_WAIT = 1, 60
"""Bounds of `retry_after`, in seconds: clients wait for a minute at most."""

RESIDENT_SECONDS = 0.1
"""Minimum time between two readings of the memory of the process; one takes 20 µs."""

_STATM = Path("/proc/self/statm")


def resident_memory() -> int:
    """Returns the memory of the process in bytes, without mapped files; 0 if it is unknown."""
    try:
        _, resident, shared, *_ = map(int, _STATM.read_text().split())
    except (OSError, ValueError):
        return 0
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Demand:
    """Share of the queue that a waiting request takes.

    Attributes:
        tokens: Number of tokens of its prompt.
        num_bytes: Estimate of its memory without the grammar, in bytes.
        grammar: Its grammar, whose memory it shares with all requests that have an equal one.
    """

    tokens: int
    num_bytes: int = 0
    grammar: Grammar | None = None

    @classmethod
    def of(cls, request: GenerationRequest) -> "Demand":
        """Returns the share of a request."""
        return cls(request.num_prompt_tokens, request.num_bytes, request.rules.grammar)


class Admission:
    """Counts queued requests, tokens and bytes, and how fast the queue moves; thread-safe.

    A single request is always admitted to an empty queue.

    Args:
        max_requests: Maximum number of queued requests.
        max_tokens: Maximum number of prompt tokens of all queued requests together.
        max_bytes: Maximum estimated memory of all queued requests together, in bytes.
        max_resident: Memory of the process in bytes, without mapped files, from which on no request
            is queued; None for any.
        clock: Monotonic clock, in seconds.
        resident: Returns the memory of the process in bytes; called at most every
            `RESIDENT_SECONDS`.
    """

    def __init__(
        self,
        max_requests: int,
        max_tokens: int,
        max_bytes: int = 1 << 30,
        max_resident: int | None = None,
        *,
        clock: Callable[[], float] = monotonic,
        resident: Callable[[], int] = resident_memory,
    ) -> None:
        self._max_requests = max_requests
        self._max_tokens = max_tokens
        self._max_bytes = max_bytes
        self._max_resident = max_resident
        self._clock = clock
        self._read_resident = resident
        self._resident = 0
        self._resident_due = -math.inf
        self._lock = Lock()
        self._requests = 0
        self._tokens = 0
        self._bytes = 0
        self._grammars: Counter[Grammar] = Counter()
        self._used_seconds = 0.0  # in which the queue was not empty, until `_used_since`
        self._used_since = clock()
        # In seconds of use; the first one is the start of the measurement.
        self._departures = deque([0.0], maxlen=1 + MAX_DEPARTURES)
        self._last_retry_at = clock()

    def enter(self, demand: Demand, *, resumed: bool = False) -> None:
        """Adds a request to the queue.

        Args:
            demand: Its share of the queue.
            resumed: Whether to add it whatever the bounds; it counts towards them all the same.

        Raises:
            RequestError: 429: the queue is full, or the process has little memory left;
                `retry_after` says when there should be space.
        """
        with self._lock:
            bounded = self._requests > 0 and not resumed
            reason = self._full(demand) if bounded else None
            if reason is not None:
                wait = self._retry_after()
                raise RequestError(
                    f"the queue is full: {self._requests} requests with {self._tokens:,} prompt "
                    f"tokens are waiting{reason}; try again in {wait} s",
                    status=429,
                    code="queue_full",
                    retry_after=wait,
                )
            self._use()
            self._requests += 1
            self._tokens += demand.tokens
            self._bytes += self._new_bytes(demand)
            if demand.grammar is not None:
                self._grammars[demand.grammar] += 1

    def leave(self, demand: Demand) -> None:
        """Removes a request from the queue: its prefill begins, or it ends before that."""
        with self._lock:
            self._departures.append(self._use())
            self._requests -= 1
            self._tokens -= demand.tokens
            if demand.grammar is not None:
                self._grammars[demand.grammar] -= 1
                if not self._grammars[demand.grammar]:
                    del self._grammars[demand.grammar]
            self._bytes -= self._new_bytes(demand)

    def _full(self, demand: Demand) -> str | None:
        """Returns why a request is not added to the queue, as the end of a clause, or None."""
        if self._requests >= self._max_requests or self._tokens + demand.tokens > self._max_tokens:
            return ""
        if self._bytes + self._new_bytes(demand) > self._max_bytes:
            return f" and take about {format_size(self._bytes)}"
        if self._max_resident is not None and self._current_resident() >= self._max_resident:
            return " and the endpoint has little memory left"
        return None

    def _new_bytes(self, demand: Demand) -> int:
        """Returns the memory of a request that it shares with no queued request."""
        grammar = demand.grammar
        if grammar is None or grammar in self._grammars:
            return demand.num_bytes
        return demand.num_bytes + grammar.num_bytes

    def _current_resident(self) -> int:
        now = self._clock()
        if now >= self._resident_due:
            self._resident, self._resident_due = self._read_resident(), now + RESIDENT_SECONDS
        return self._resident

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

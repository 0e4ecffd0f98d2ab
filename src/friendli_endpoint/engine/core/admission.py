"""Admission control: bounds on the queue, and the `retry_after` of rejected requests."""

import math
import os
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic

from friendli_endpoint.generation import GenerationRequest, Grammar, RequestError

__all__ = ["Admission", "Demand", "resident_memory"]

MAX_STARTS = 32
"""Number of recent starts from which the current rate is measured."""

MIN_WAIT, MAX_WAIT = 1, 600
"""Bounds of `retry_after`, in seconds."""

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
    """Counts queued requests, tokens and bytes, and the rate of starts; any thread may use it.

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
        self._starts: deque[float] = deque(maxlen=MAX_STARTS)
        self._retry_times: deque[float] = deque()

    def enter(self, demand: Demand) -> None:
        """Adds a request to the queue.

        Raises:
            RequestError: 429: the queue is full, or the process has little memory left;
                `retry_after` says when there should be space.
        """
        with self._lock:
            reason = self._full(demand) if self._requests else None
            if reason is not None:
                wait = self._retry_after()
                raise RequestError(
                    f"the queue is full: {self._requests} requests with {self._tokens:,} prompt "
                    f"tokens are waiting{reason}; try again in {wait} s",
                    status=429,
                    code="queue_full",
                    retry_after=wait,
                )
            self._requests += 1
            self._tokens += demand.tokens
            self._bytes += self._new_bytes(demand)
            if demand.grammar is not None:
                self._grammars[demand.grammar] += 1

    def start(self, demand: Demand) -> None:
        """Removes a request from the queue because its prefill begins."""
        self.leave(demand)
        with self._lock:
            self._starts.append(self._clock())

    def leave(self, demand: Demand) -> None:
        """Removes a request from the queue."""
        with self._lock:
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
            return f" and take about {self._bytes >> 20:,} MiB"
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

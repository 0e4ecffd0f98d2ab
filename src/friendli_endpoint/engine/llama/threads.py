"""Number of threads of each batch: by its work, and by the processors that are free.

llama.cpp's threads meet at a barrier after each of about a thousand operations of a batch. With
little work in between, more threads gain nothing. Where one of them has no processor, the others
wait for it: beside four spinning processes on two processors, a stream of the embedded model gets 4
tokens per second from two threads, and 26 from one.

The bits of the logits do not depend on the number of threads: threads divide the rows of a matrix,
never a sum. Flash attention divides sums from 512 positions on, which `context.py` avoids. This was
measured for every weight type (`tests/families/test_types.py`).
"""

import logging
from collections.abc import Callable
from time import monotonic, process_time

from friendli_endpoint.engine.llama.processors import FreeProcessors, cpu_quota

__all__ = ["BatchThreads", "ThreadPolicy"]

log = logging.getLogger("friendli_endpoint.engine")

WORK_PER_THREAD = 40e6
"""Minimum work of a thread, in bytes read times tokens. A token of the embedded model is work of
94 MB: one thread takes 11.8 ms for it, and two take 9.7 on two idle processors."""

MIN_SHARE = 0.75
"""Share of the wall time below which the threads of a batch lack processors."""

LOWER, RAISE = 0.6, 0.35
"""How much of the last processor may be taken before its thread is given up, and may still be taken
when it is added again."""

WINDOW_SECONDS = 0.2
"""Minimum time of batches over which their share of the processors is measured, in seconds."""

MIN_PAUSE, MAX_PAUSE = 0.5, 60.0
"""Seconds of computation after which more threads are tried again, where nothing but the time of
the batches tells whether processors are free; doubled by every failure."""

SHORT_SECONDS, LOG_SECONDS = 3.0, 600.0
"""Seconds of computation with too few processors after which a line is logged, and minimum seconds
between two lines."""


class ThreadPolicy:
    """Decides how many threads compute a batch; has no clock.

    Args:
        max_threads: Maximum number of threads, at least 1.
    """

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._by_free = self._by_share = max_threads
        self._free_is_short = self._share_is_short = False
        self._seconds = self._cpu_seconds = self._thread_seconds = 0.0
        self._calm_seconds, self._pause = 0.0, MIN_PAUSE

    @property
    def limit(self) -> int:
        """Maximum number of threads at present, from 1 to `max_threads`."""
        return min(self._by_free, self._by_share)

    @property
    def is_short(self) -> bool:
        """Whether other programs take processors that `max_threads` would use."""
        return self._free_is_short or self._share_is_short

    def threads(self, work: float) -> int:
        """Returns the number of threads for a batch.

        Args:
            work: Bytes of weights and of the KV cache that a token needs, summed over the tokens.
        """
        return int(max(1, min(self.limit, work // WORK_PER_THREAD)))

    def observe_free(self, free: float | None) -> None:
        """Takes into account how many processors are free, those in use by batches included.

        Args:
            free: Number of processors, or None if it is not known.
        """
        if free is None:
            return
        self._free_is_short = free < self._max_threads - LOWER
        if free < self._by_free - LOWER:
            self._by_free = max(1, int(free + 1 - LOWER))
        elif free >= self._by_free + 1 - RAISE:
            self._by_free = min(self._max_threads, int(free + RAISE))

    def observe_batch(self, threads: int, seconds: float, cpu_seconds: float) -> None:
        """Takes the time of a batch into account, for machines that do not tell what is free.

        Args:
            threads: Number of threads that computed it.
            seconds: Wall time.
            cpu_seconds: Time that the process has used on processors meanwhile; threads that wait
                for others at a barrier use it, too.
        """
        self._seconds += seconds
        self._cpu_seconds += cpu_seconds
        self._thread_seconds += seconds * threads
        if self._seconds < WINDOW_SECONDS:
            return
        share = min(1.0, self._cpu_seconds / self._thread_seconds)
        mean_threads = self._thread_seconds / self._seconds
        self._share_is_short = share < MIN_SHARE
        if self._share_is_short and mean_threads > 1:
            self._by_share = max(1, min(self._by_share - 1, int(mean_threads * share)))
            self._calm_seconds, self._pause = 0.0, min(MAX_PAUSE, 2 * self._pause)
        else:
            self._calm_seconds += self._seconds
            if self._calm_seconds >= self._pause and self._by_share < self._max_threads:
                self._by_share = min(self._max_threads, 2 * self._by_share)
                self._calm_seconds = 0.0
            elif self._calm_seconds >= MAX_PAUSE:
                self._calm_seconds, self._pause = 0.0, MIN_PAUSE
        self._seconds = self._cpu_seconds = self._thread_seconds = 0.0


class BatchThreads:
    """Number of threads of each batch of a context; feeds its policy with measurements.

    The time of batches is a measure of processors that are short only where the kernel does not
    tell what is free, and with a quota, which the kernel does not subtract. Elsewhere it may be
    short because a GPU computes meanwhile.

    Args:
        max_threads: Maximum number of threads, at least 1.
        free: Measures how many processors are free.
        has_quota: Whether the process has a quota of processor time; by default, as it is.
        clock: Time in seconds.
        used: Time on processors that this process has used, in seconds.
    """

    def __init__(
        self,
        max_threads: int,
        free: FreeProcessors | None = None,
        has_quota: bool | None = None,
        clock: Callable[[], float] = monotonic,
        used: Callable[[], float] = process_time,
    ) -> None:
        self.max_threads = max_threads
        self._policy = ThreadPolicy(max_threads)
        self._free = free or FreeProcessors()
        self._has_quota = cpu_quota() is not None if has_quota is None else has_quota
        self._measures_batch = True
        self._clock, self._used = clock, used
        self._begun, self._begun_used, self._threads = 0.0, 0.0, 1
        self._short_seconds, self._next_line = 0.0, 0.0

    def begin(self, work: float) -> int:
        """Returns the number of threads for a batch that begins now; see `ThreadPolicy.threads`."""
        free = self._free.sample()
        self._measures_batch = free is None or self._has_quota
        self._policy.observe_free(free)
        self._threads = self._policy.threads(work)
        self._begun, self._begun_used = self._clock(), self._used()
        return self._threads

    def end(self) -> None:
        """Measures the batch, which ends now."""
        now = self._clock()
        seconds = now - self._begun
        if self._measures_batch:
            self._policy.observe_batch(self._threads, seconds, self._used() - self._begun_used)
        self._short_seconds = self._short_seconds + seconds if self._policy.is_short else 0.0
        if self._short_seconds >= SHORT_SECONDS and now >= self._next_line:
            self._next_line = now + LOG_SECONDS
            log.warning(
                "processors are short, because other programs use them: computing with %d of %d "
                "threads; answers are slower until processors are free",
                self._policy.limit,
                self.max_threads,
            )

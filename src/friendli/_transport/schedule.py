"""Schedule of retries of one exchange.

There are two policies. An explicit `RetryConfig` is applied exactly: exponential backoff with
jitter until `max_elapsed_time` has passed. The default policy is two retries after 0.5 s and 1 s
(with jitter, at most 8 s), and none after a read timeout, because a completion that is only slow
would be paid for twice.

The server's `retry-after-ms` or `Retry-After` replaces the computed wait. Its only bound is the
remaining time (`max_elapsed_time`; 60 s without a RetryConfig): a longer wait ends the retries. So
does a wait, of either policy, that would reach the deadline of the call.

The schedule does no I/O: it returns the wait in seconds, or None, after each failed attempt.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

from friendli._transport.network import NEVER_RETRIED, NetworkError
from friendli._transport.retry import BackoffStrategy, RetryConfig, RetryOption
from friendli.types import Unset

RETRIED_STATUSES = ("429", "500", "502", "503", "504")
DEFAULT_RETRIES = 2
DEFAULT_INITIAL_WAIT = 0.5
DEFAULT_MAX_WAIT = 8.0
MAX_RETRY_AFTER = 60.0


class Schedule:
    """Schedule of retries of one exchange.

    Args:
        option: Configuration of retries.
        clock: Monotonic clock, in seconds.
        remaining: Seconds until the deadline of the call; None: no deadline. No retry begins after
            it, so a wait that would reach it ends the retries.
        draw: Random number in [0, 1), for jitter.
        now: Wall clock, in seconds since the epoch, for Retry-After dates.
    """

    __slots__ = (
        "_clock",
        "_config",
        "_draw",
        "_now",
        "_remaining",
        "_retries",
        "_start",
        "_statuses",
    )

    def __init__(
        self,
        option: RetryOption,
        *,
        clock: Callable[[], float] = time.monotonic,
        remaining: Callable[[], float | None] = lambda: None,
        draw: Callable[[], float] = random.random,
        now: Callable[[], float] = time.time,
    ) -> None:
        if not isinstance(option, Unset) and (
            not isinstance(option, RetryConfig) or option.strategy != "backoff"
        ):
            option = None
        self._config = option
        self._clock = clock
        self._draw = draw
        self._now = now
        self._remaining = remaining
        self._start = clock()
        self._retries = 0
        statuses = option.status_codes_override if option else None
        self._statuses = RETRIED_STATUSES if statuses is None else tuple(statuses)

    @property
    def retries(self) -> int:
        """Number of retries so far."""
        return self._retries

    def after_status(self, status: int, headers: Mapping[str, str]) -> float | None:
        """Return the wait in seconds before the next attempt, or None to give up."""
        if not any(_matches(status, pattern) for pattern in self._statuses):
            return None
        return self._wait(retry_after(headers, self._now()))

    def after_error(self, error: NetworkError) -> float | None:
        """Return the wait in seconds before the next attempt, or None to give up."""
        if error.kind in NEVER_RETRIED:
            return None
        if isinstance(self._config, Unset):
            if error.kind in ("ReadTimeout", "TimeoutException"):
                return None
        elif self._config is None or not self._config.retry_connection_errors:
            return None
        return self._wait(None)

    def _wait(self, requested: float | None) -> float | None:
        config = self._config
        if config is None:
            return None
        if isinstance(config, Unset):
            wait = self._default_wait(requested)
        else:
            wait = self._configured_wait(config.backoff, requested)
        remaining = self._remaining()
        if wait is None or (remaining is not None and wait >= remaining):
            return None
        self._retries += 1
        return wait

    def _default_wait(self, requested: float | None) -> float | None:
        if self._retries >= DEFAULT_RETRIES:
            return None
        if requested is not None:
            return requested if requested <= MAX_RETRY_AFTER else None
        wait = min(DEFAULT_INITIAL_WAIT * 2.0**self._retries, DEFAULT_MAX_WAIT)
        return wait * (1.0 + 0.25 * self._draw())

    def _configured_wait(self, backoff: BackoffStrategy, requested: float | None) -> float | None:
        remaining = backoff.max_elapsed_time / 1000 - (self._clock() - self._start)
        if remaining < 0:
            return None
        if requested is not None:
            return requested if requested <= remaining else None
        jitter = (1000 if backoff.jitter_ms is None else backoff.jitter_ms) / 1000
        max_wait = backoff.max_interval / 1000
        try:
            wait = backoff.initial_interval / 1000 * float(backoff.exponent) ** self._retries
        except OverflowError:
            wait = max_wait
        return max(0.0, min(wait + jitter * self._draw(), max_wait))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the wait that the server requests, in seconds, or None.

    `retry-after-ms` takes precedence over `Retry-After`, which is in seconds or an HTTP date
    (RFC 9110, 10.2.3).
    """
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) / scale
        except ValueError:
            try:
                seconds = max(0.0, parsedate_to_datetime(value).timestamp() - now)
            except (ValueError, TypeError, OverflowError):
                continue
        if 0.0 <= seconds < float("inf"):
            return seconds
    return None


def _matches(status: int, pattern: str) -> bool:
    digits = str(status)
    return len(pattern) == len(digits) and all(
        p in "xX" or p == d for p, d in zip(pattern, digits, strict=True)
    )

"""The retries of one exchange: whether and when to try again.

Two policies. An explicit `RetryConfig` is followed to the letter: exponential backoff with jitter
until `max_elapsed_time` has passed. Without one, our own: two retries after 0.5 s and 1 s (with
jitter, never more than 8 s), and never after a read timeout, because a completion that is merely
slow would be paid for twice.

A server's `retry-after-ms` or `Retry-After` replaces the computed wait. It is bounded by the time
that is left (`max_elapsed_time`; 60 s without a RetryConfig) and by nothing else: when the server
asks for more, the attempt at hand was the last.

Knows no network: it is asked after each failed attempt, and answers with seconds or None.
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
DEFAULT_FIRST = 0.5
DEFAULT_LONGEST = 8.0
DEFAULT_RETRY_AFTER = 60.0


class Schedule:
    """The retries of one exchange.

    Args:
        option: What was configured.
        clock: Seconds that only grow.
        draw: A number in [0, 1).
        now: Seconds since the epoch, for Retry-After dates.
    """

    __slots__ = ("_clock", "_config", "_draw", "_now", "_retries", "_start", "_statuses")

    def __init__(
        self,
        option: RetryOption,
        *,
        clock: Callable[[], float] = time.monotonic,
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
        self._start = clock()
        self._retries = 0
        statuses = option.status_codes_override if option else None
        self._statuses = RETRIED_STATUSES if statuses is None else tuple(statuses)

    @property
    def retries(self) -> int:
        """Number of retries granted so far."""
        return self._retries

    def after_status(self, status: int, headers: Mapping[str, str]) -> float | None:
        """Give the wait in seconds before the next attempt, or None to give up."""
        if not any(_matches(status, pattern) for pattern in self._statuses):
            return None
        return self._wait(retry_after(headers, self._now()))

    def after_error(self, error: NetworkError) -> float | None:
        """Give the wait in seconds before the next attempt, or None to give up."""
        if error.kind in NEVER_RETRIED:
            return None
        if isinstance(self._config, Unset):
            if error.kind in ("ReadTimeout", "TimeoutException"):
                return None
        elif self._config is None or not self._config.retry_connection_errors:
            return None
        return self._wait(None)

    def _wait(self, asked: float | None) -> float | None:
        config = self._config
        if config is None:
            return None
        if isinstance(config, Unset):
            wait = self._default_wait(asked)
        else:
            wait = self._configured_wait(config.backoff, asked)
        if wait is not None:
            self._retries += 1
        return wait

    def _default_wait(self, asked: float | None) -> float | None:
        if self._retries >= DEFAULT_RETRIES:
            return None
        if asked is not None:
            return asked if asked <= DEFAULT_RETRY_AFTER else None
        wait = min(DEFAULT_FIRST * 2.0**self._retries, DEFAULT_LONGEST)
        return wait * (1.0 + 0.25 * self._draw())

    def _configured_wait(self, backoff: BackoffStrategy, asked: float | None) -> float | None:
        left = backoff.max_elapsed_time / 1000 - (self._clock() - self._start)
        if left < 0:
            return None
        if asked is not None:
            return asked if asked <= left else None
        jitter = (1000 if backoff.jitter_ms is None else backoff.jitter_ms) / 1000
        longest = backoff.max_interval / 1000
        try:
            wait = backoff.initial_interval / 1000 * float(backoff.exponent) ** self._retries
        except OverflowError:
            wait = longest
        return max(0.0, min(wait + jitter * self._draw(), longest))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Read the wait that a server asks for, in seconds; None where it asks for none.

    `retry-after-ms` wins over `Retry-After`, which is seconds or an HTTP date (RFC 9110, 10.2.3).
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

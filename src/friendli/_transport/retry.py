"""Configuration of retries; `schedule.py` applies it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from friendli.types import Unset


class BackoffStrategy:
    """Exponential backoff: waits of `initial_interval * exponent ** n` plus jitter.

    All times are in milliseconds.

    Args:
        initial_interval: Wait before the first retry.
        max_interval: Maximum computed wait, jitter included.
        exponent: Factor from one wait to the next.
        max_elapsed_time: Time since the first attempt after which no retry begins.
        jitter_ms: Maximum of the uniformly distributed jitter. Default: 1,000.
    """

    def __init__(
        self,
        initial_interval: int,
        max_interval: int,
        exponent: float,
        max_elapsed_time: int,
        jitter_ms: int | None = None,
    ) -> None:
        self.initial_interval = initial_interval
        self.max_interval = max_interval
        self.exponent = exponent
        self.max_elapsed_time = max_elapsed_time
        self.jitter_ms = jitter_ms

    def __repr__(self) -> str:
        return (
            f"BackoffStrategy({self.initial_interval}, {self.max_interval}, {self.exponent}, "
            f"{self.max_elapsed_time}, jitter_ms={self.jitter_ms})"
        )


class RetryConfig:
    """Configuration of retries.

    Args:
        strategy: "backoff"; any other value disables retries.
        backoff: Waits between attempts.
        retry_connection_errors: Whether to retry failed connections and timeouts.
        status_codes_override: Status codes to retry, where X is any digit ("5XX"). Default: 429,
            500, 502, 503 and 504.
    """

    def __init__(
        self,
        strategy: str,
        backoff: BackoffStrategy,
        retry_connection_errors: bool,
        status_codes_override: Iterable[str] | None = None,
    ) -> None:
        self.strategy = strategy
        self.backoff = backoff
        self.retry_connection_errors = retry_connection_errors
        self.status_codes_override: list[str] | None = (
            None if status_codes_override is None else [str(code) for code in status_codes_override]
        )

    def __repr__(self) -> str:
        return (
            f"RetryConfig({self.strategy!r}, {self.backoff!r}, {self.retry_connection_errors}, "
            f"status_codes_override={self.status_codes_override})"
        )


RetryOption: TypeAlias = RetryConfig | Unset | None
"""UNSET: the client's, or the default. None, or a strategy other than "backoff": no retries."""

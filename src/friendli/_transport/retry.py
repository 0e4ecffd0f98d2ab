"""Configuration of retries; `schedule.py` follows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from friendli.types import Unset


class BackoffStrategy:
    """Waits of `initial_interval * exponent ** n`, plus jitter, up to `max_interval`.

    Args:
        initial_interval: Wait before the first retry, in ms.
        max_interval: Longest computed wait, in ms.
        exponent: Growth from one wait to the next.
        max_elapsed_time: No retry is begun when this many ms have passed since the first attempt.
        jitter_ms: The jitter is drawn from 0..jitter_ms; 1000 where None.
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
    """Configuration of retries: whether and when to try again.

    Args:
        strategy: "backoff"; any other value means no retries.
        backoff: How long to wait.
        retry_connection_errors: Whether failed connections and timeouts are tried again.
        status_codes_override: Statuses tried again instead of 429, 500, 502, 503 and 504; an X
            stands for any digit ("5XX").
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
"""UNSET: ask the next level. None, or a strategy other than "backoff": no retries."""

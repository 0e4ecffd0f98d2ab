"""Rate limits per caller, as token buckets of requests and of tokens a minute."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from friendli_endpoint.generation import RequestError

__all__ = ["RateLimiter", "TokenBucket"]


@dataclass(slots=True)
class TokenBucket:
    """A token bucket that is filled evenly; its level may become negative.

    Attributes:
        per_minute: Capacity, and the amount that is added within 60 seconds.
        level: Level at `time`; negative after more was taken than there was.
        time: Time of the last change in seconds.
    """

    per_minute: int
    level: float
    time: float

    def wait(self, amount: float, now: float) -> float:
        """Returns the seconds until the level is at least `amount`, 0 if it is now.

        Args:
            amount: Amount to be taken; more than the capacity counts as the capacity.
            now: Time in seconds, not before any earlier call.
        """
        missing = min(amount, self.per_minute) - self._level_at(now)
        return max(0.0, missing * 60 / self.per_minute)

    def take(self, amount: float, now: float) -> None:
        """Takes an amount, even if the level becomes negative."""
        self.level = self._level_at(now) - amount
        self.time = now

    def _level_at(self, now: float) -> float:
        level = self.level + (now - self.time) * self.per_minute / 60
        return min(level, self.per_minute)


Caller = bytes | None
"""The digest of a caller's bearer token; None for all callers if tokens are not required."""


class RateLimiter:
    """Limits the requests and tokens of each caller.

    Args:
        requests: Maximum number of requests a minute; None for no limit.
        tokens: Maximum number of prompt and generated tokens a minute; None for no limit.
        clock: Monotonic clock in seconds.
    """

    def __init__(
        self,
        requests: int | None = None,
        tokens: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = {"requests": requests, "tokens": tokens}
        self._clock = clock
        self._buckets: dict[tuple[Caller, str], TokenBucket] = {}

    def take_request(self, caller: Caller) -> None:
        """Counts a request.

        Raises:
            RequestError: 429, with the seconds until a request is allowed.
        """
        self._take(caller, "requests", 1)

    def take_prompt(self, caller: Caller, tokens: int) -> None:
        """Counts the tokens of a prompt; one above the limit is allowed when the bucket is full.

        Raises:
            RequestError: 429, with the seconds until the prompt is allowed.
        """
        self._take(caller, "tokens", tokens)

    def add_tokens(self, caller: Caller, tokens: int) -> None:
        """Counts generated tokens; any above the limit delay the caller's later prompts."""
        bucket = self._bucket(caller, "tokens")
        if bucket is not None:
            bucket.take(tokens, self._clock())

    def _take(self, caller: Caller, kind: str, amount: int) -> None:
        bucket = self._bucket(caller, kind)
        if bucket is None:
            return
        now = self._clock()
        seconds = math.ceil(round(bucket.wait(amount, now), 6))
        if seconds:
            raise RequestError(
                f"the limit of {bucket.per_minute:,} {kind} a minute is reached; "
                f"retry in {seconds} s",
                status=429,
                code="rate_limited",
                retry_after=seconds,
            )
        bucket.take(amount, now)

    def _bucket(self, caller: Caller, kind: str) -> TokenBucket | None:
        limit = self._limits[kind]
        if limit is None:
            return None
        full = TokenBucket(limit, limit, self._clock())
        return self._buckets.setdefault((caller, kind), full)

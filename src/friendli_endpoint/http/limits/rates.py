"""How much each caller may ask for in a minute, as token buckets; knows no clock of its own."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from friendli_endpoint.generation import RequestError

__all__ = ["Bucket", "Rates"]


@dataclass(slots=True)
class Bucket:
    """Holds what one minute grants, and fills evenly; may owe what was taken unasked.

    Attributes:
        per_minute: What it holds when full, and what flows in within 60 seconds.
        level: What it held at that time; below 0 it owes.
        time: Seconds.
    """

    per_minute: int
    level: float
    time: float

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much is there, 0 if it is; of more than it can hold, until it is full.

        Args:
            amount: What is wanted.
            now: Seconds, not before any earlier call.
        """
        lacking = min(amount, self.per_minute) - self._filled(now)
        return max(0.0, lacking * 60 / self.per_minute)

    def take(self, amount: float, now: float) -> None:
        """Takes so much, there or not."""
        self.level = self._filled(now) - amount
        self.time = now

    def _filled(self, now: float) -> float:
        filled = self.level + (now - self.time) * self.per_minute / 60
        return min(filled, self.per_minute)


Caller = bytes | None
"""Who asks: the digest of a token; None is everybody where no tokens are needed."""


class Rates:
    """What each caller has used of its minute.

    Args:
        requests: Requests a minute; None does not bound them.
        tokens: Tokens a minute, of prompts and answers together; None does not bound them.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        requests: int | None = None,
        tokens: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = {"requests": requests, "tokens": tokens}
        self._clock = clock
        self._buckets: dict[tuple[Caller, str], Bucket] = {}

    def take_request(self, caller: Caller) -> None:
        """Counts a request.

        Raises:
            RequestError: 429, with the seconds after which there is room for one.
        """
        self._take(caller, "requests", 1)

    def take_prompt(self, caller: Caller, tokens: int) -> None:
        """Counts the tokens of a prompt; one larger than a minute's grant passes at a full one.

        Raises:
            RequestError: 429, with the seconds after which there is room for them.
        """
        self._take(caller, "tokens", tokens)

    def add_tokens(self, caller: Caller, tokens: int) -> None:
        """Counts tokens that were generated; what is too much, later prompts wait for."""
        bucket = self._bucket(caller, "tokens")
        if bucket is not None:
            bucket.take(tokens, self._clock())

    def _take(self, caller: Caller, what: str, amount: int) -> None:
        bucket = self._bucket(caller, what)
        if bucket is None:
            return
        now = self._clock()
        seconds = math.ceil(round(bucket.wait(amount, now), 6))
        if seconds:
            raise RequestError(
                f"this token may use {bucket.per_minute:,} {what} a minute: "
                f"there is room for this request in {seconds} s",
                status=429,
                code="rate_limited",
                retry_after=seconds,
            )
        bucket.take(amount, now)

    def _bucket(self, caller: Caller, what: str) -> Bucket | None:
        limit = self._limits[what]
        if limit is None:
            return None
        full = Bucket(limit, limit, self._clock())
        return self._buckets.setdefault((caller, what), full)

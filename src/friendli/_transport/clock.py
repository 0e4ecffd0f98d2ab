"""Time limits of one call: its deadline, and the longest wait for content.

    clock = CallClock(deadline=60.0, stall_timeout=10.0)
    clock.begin_read()          # TimeoutError if there is no time left
    ...                         # read from the connection, for at most `clock.remaining()`
    clock.end_read()
    clock.content()             # if the bytes carried content

The deadline runs from the beginning of the call, whatever the call waits for. The wait for content
is the time in reads since the last content: time that the program takes between reads does not
count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

HEADER: Final = "x-request-timeout"
"""Header that tells the endpoint the remaining seconds of the call."""

Limit: TypeAlias = Literal["deadline", "stall_timeout"]

_MIN_SECONDS: Final = 0.001
"""Minimum timeout of a phase: 0 would mean a socket that does not block."""


class CallClock:
    """Clock of one call; it starts when it is created.

    Args:
        deadline: Maximum duration of the call, in seconds; None: unlimited.
        stall_timeout: Maximum time in reads without content, in seconds; None: unlimited.
        clock: Monotonic clock, in seconds.
    """

    __slots__ = ("_clock", "_end", "_read_start", "_waited", "deadline", "stall_timeout")

    def __init__(
        self,
        deadline: float | None,
        stall_timeout: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.deadline: float | None = deadline
        self.stall_timeout: float | None = stall_timeout
        self._clock = clock
        self._end = None if deadline is None else clock() + deadline
        self._read_start: float | None = None
        self._waited = 0.0

    def remaining(self) -> float | None:
        """Return the seconds until the first limit, 0 or less if it has passed; None: unlimited.

        The wait for content is a limit only between `begin_read()` and `end_read()`.
        """
        if self._read_start is None or self.stall_timeout is None:
            return self.before_deadline()
        now = self._clock()
        remaining = self.stall_timeout - self._waited - (now - self._read_start)
        return remaining if self._end is None else min(remaining, self._end - now)

    def before_deadline(self) -> float | None:
        """Return the seconds until the deadline, 0 or less if it has passed; None: no deadline."""
        return None if self._end is None else self._end - self._clock()

    def begin_request(self) -> None:
        """Begin a request: the wait for content starts with the body of its response."""
        self._read_start = None
        self._waited = 0.0

    def begin_read(self) -> float:
        """Begin a read from the connection, and return the time of the clock, in seconds.

        Raises:
            TimeoutError: A limit has passed already.
        """
        self._read_start = now = self._clock()
        if self.passed():
            raise TimeoutError
        return now

    def end_read(self) -> None:
        """End a read that returned bytes.

        Raises:
            TimeoutError: The deadline has passed. The bytes may be the endpoint's own report of it.
        """
        now = self._clock()
        if self._read_start is not None:
            self._waited += now - self._read_start
            self._read_start = None
        if self._end is not None and now >= self._end:
            raise TimeoutError

    def content(self) -> None:
        """Begin the wait for content anew."""
        self._waited = 0.0

    def passed(self) -> Limit | None:
        """Return the limit that has passed, or None.

        A timer may fire a little early, so a limit counts as passed in its last millisecond.
        """
        remaining = self.before_deadline()
        if remaining is not None and remaining < _MIN_SECONDS:
            return "deadline"
        remaining = self.remaining()
        if remaining is not None and remaining < _MIN_SECONDS:
            return "stall_timeout"
        return None

    def header(self) -> str | None:
        """Return the value of `x-request-timeout`: seconds until the deadline; None: no deadline.

        It is rounded up, so that the endpoint does not give up before the client does.
        """
        remaining = self.before_deadline()
        return None if remaining is None else f"{max(remaining, 0.0) + _MIN_SECONDS:.3f}"

    def limit_phases(self, request: Any) -> None:
        """Limit the timeouts of a request's phases to the remaining time.

        Args:
            request: Request of httpx or httpx2; others are left unchanged.
        """
        extensions = getattr(request, "extensions", None)
        if isinstance(extensions, dict):
            extensions["timeout"] = _PhaseTimeouts(extensions.get("timeout") or {}, self)


def shorter(timeout: float | None, remaining: float | None) -> float | None:
    """Return a timeout within the remaining time, in seconds; None: unlimited."""
    if remaining is None:
        return timeout
    remaining = max(remaining, _MIN_SECONDS)
    return remaining if timeout is None else min(timeout, remaining)


class _PhaseTimeouts(dict[str, float | None]):
    """Timeouts of connect, read, write and pool, in seconds.

    Transports look a timeout up at the beginning of its phase. It is then the remaining time, if
    that is less than the configured timeout.
    """

    def __init__(self, timeouts: dict[str, float | None], clock: CallClock) -> None:
        super().__init__(timeouts)
        self._limits = clock

    def __getitem__(self, phase: str) -> float | None:
        return self.get(phase)

    def get(self, phase: str, default: Any = None) -> float | None:
        """Return the timeout of a phase at this moment."""
        configured: float | None = super().get(phase, default)
        return shorter(configured, self._limits.remaining())

"""Limits of a rendering, and what is left of them in the current thread."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

__all__ = [
    "MAX_BITS",
    "MAX_BYTES",
    "MAX_CHARACTERS",
    "MAX_DEPTH",
    "MAX_SECONDS",
    "POINTER",
    "Meter",
    "SandboxError",
    "charged",
    "check_size",
    "current",
    "rendering",
]

MAX_SECONDS = 5.0
"""Maximum CPU time of a rendering."""

MAX_CHARACTERS: Final = 4_000_000
"""Maximum size of one value and of the output: characters, and `POINTER` for each item."""

MAX_BYTES = 256 * 2**20
"""Maximum memory of all values that a rendering creates, including intermediate ones."""

MAX_DEPTH: Final = 256
"""Maximum nesting of lists and objects that are compared, hashed or written."""

MAX_BITS: Final = 64
"""Maximum bits of the absolute value of an integer that is computed."""

POINTER: Final = 8
"""Bytes of a reference in a list."""

_MEASURED_BYTES = 256
"""Bytes that remembering the measures of a value takes."""


class SandboxError(Exception):
    """The template exceeds a limit or uses a forbidden feature; the message says which."""


class Meter:
    """Remaining time and memory of one rendering.

    Attributes:
        measures: For the id of a measured list or object: the value, which keeps the id valid, and
            its size, depth and number of items; see `measures_of`.
    """

    __slots__ = ("_cpu_deadline", "_deadline", "_remaining", "measures")

    def __init__(self, max_seconds: float, max_bytes: int) -> None:
        self._deadline = time.monotonic() + max_seconds
        self._cpu_deadline = time.thread_time() + max_seconds
        self._remaining = max_bytes
        self.measures: dict[int, tuple[Any, int, int, int]] = {}

    def check_time(self) -> None:
        """Raises a `SandboxError` if the thread has computed for longer than allowed.

        The CPU time counts, because a busy machine should not fail a harmless template. It is read
        only after the wall time has passed, because reading it is slower.
        """
        if time.monotonic() > self._deadline and time.thread_time() > self._cpu_deadline:
            raise SandboxError(f"the chat template runs longer than {MAX_SECONDS:g} seconds")

    def spend(self, size: int) -> None:
        """Charges memory, in bytes, for values that have been created or will be at once."""
        self._remaining -= size
        if self._remaining < 0:
            self._fail()

    def require(self, size: int) -> None:
        """Checks that a value of at most `size` bytes may be created."""
        if size > self._remaining:
            self._fail()

    def remember(self, value: Any, measures: tuple[int, int, int]) -> None:
        """Keeps the measures of a value until the end of the rendering."""
        self.spend(_MEASURED_BYTES)
        self.measures[id(value)] = (value, *measures)

    def _fail(self) -> None:
        raise SandboxError(
            f"the chat template creates values of more than {MAX_BYTES // 2**20} MiB in total"
        )


class _Current(threading.local):
    meter = Meter(-1.0, -1)
    """Fails on any charge: nothing is computed with values outside a rendering."""


_current = _Current()


def current() -> Meter:
    """Returns the meter of the rendering in the current thread."""
    return _current.meter


@contextmanager
def rendering() -> Iterator[None]:
    """Starts the clock and the budget of a rendering in the current thread."""
    outer = _current.meter
    _current.meter = Meter(MAX_SECONDS, MAX_BYTES)
    try:
        yield
    finally:
        _current.meter = outer


def check_size(size: int) -> None:
    """Checks the size of one value; see `MAX_CHARACTERS`."""
    if size > MAX_CHARACTERS:
        raise SandboxError(
            f"the chat template creates a value of more than {MAX_CHARACTERS:,} characters"
        )


def charged(value: Any) -> Any:
    """Charges a new value, without its items, and returns it."""
    if type(value) is str:
        if len(value) > MAX_CHARACTERS:
            check_size(len(value))
        _current.meter.spend(value.__sizeof__())
    elif isinstance(value, list | tuple | dict):
        check_size(POINTER * len(value))
        _current.meter.spend(sys.getsizeof(value))
    else:
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise SandboxError(
                f"the chat template computes an integer of more than {MAX_BITS} bits"
            )
        _current.meter.spend(64)
    return value

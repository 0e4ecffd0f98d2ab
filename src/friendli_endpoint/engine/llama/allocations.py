"""Allocations that fail in llama.cpp: it logs them, and returns no reason."""

import contextlib
import logging
import re
from collections.abc import Iterator

__all__ = ["AllocationFailures", "allocation_failure", "watch_allocations"]

log = logging.getLogger("friendli_endpoint.llama")

_FAILURE = re.compile(
    r"(?:insufficient memory|not enough memory|(?:failed|unable) to allocate|cannot allocate).*"
    r"|std::bad_alloc|MemoryError",
    re.IGNORECASE,
)


def allocation_failure(text: str) -> str | None:
    """Returns the first failed allocation in a log or on standard error, or None."""
    found = _FAILURE.search(text)
    return " ".join(found[0].split()) if found else None


class AllocationFailures(logging.Handler):
    """A handler of llama.cpp's log that keeps the first failed allocation.

    Attributes:
        first: The first failed allocation, or None.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.first: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Implements `logging.Handler`."""
        if self.first is None:
            self.first = allocation_failure(record.getMessage())


@contextlib.contextmanager
def watch_allocations() -> Iterator[AllocationFailures]:
    """Collects failed allocations, also those of other threads."""
    failures = AllocationFailures()
    log.addHandler(failures)
    try:
        yield failures
    finally:
        log.removeHandler(failures)

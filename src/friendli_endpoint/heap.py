"""Returns memory that the C library keeps for later allocations to the operating system."""

import ctypes
import sys

__all__ = ["trim_heap"]


def trim_heap() -> None:
    """Returns free memory to the operating system, where the C library can: with glibc.

    After large temporary allocations, glibc keeps the memory of each thread's heap. Takes 0.1 ms
    to a few milliseconds, and does not hold the interpreter's lock.
    """
    if _TRIM is not None:
        _TRIM(0)


def _find_trim() -> "ctypes._NamedFuncPointer | None":
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):  # another C library
        return None


_TRIM = _find_trim()

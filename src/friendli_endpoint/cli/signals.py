"""Temporary signal handlers."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["ctrl_c_once", "signal_handler"]

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


@contextlib.contextmanager
def signal_handler(number: signal.Signals, handler: Handler) -> Iterator[None]:
    """Sets the handler of a signal until the block ends, then restores the previous one."""
    previous = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, previous)


def ctrl_c_once() -> contextlib.AbstractContextManager[None]:
    """Lets the first Ctrl-C in the block raise KeyboardInterrupt; ignores further ones.

    A second Ctrl-C can therefore not interrupt the cleanup after the first.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    return signal_handler(signal.SIGINT, interrupt)

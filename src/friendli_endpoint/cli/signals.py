"""What a signal does for a while."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["ctrl_c_once", "handling"]

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


@contextlib.contextmanager
def handling(number: signal.Signals, handler: Handler) -> Iterator[None]:
    """Inside, a signal goes to this handler."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def ctrl_c_once() -> contextlib.AbstractContextManager[None]:
    """Inside, Ctrl-C raises KeyboardInterrupt; a second one cannot disturb what follows it."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    return handling(signal.SIGINT, interrupt)

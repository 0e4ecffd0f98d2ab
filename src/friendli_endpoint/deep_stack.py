"""Calls C code that recurses deeply, on a stack that is large enough for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from friendli_endpoint.generation import RequestError

__all__ = ["on_deep_stack"]

T = TypeVar("T")

_OWN_BYTES = 1 << 20
"""Stack for what the call needs beside its recursion."""

_SHARED_BYTES = 64 << 20
"""Calls that may need more stack than this run one at a time: what they touch is resident."""

_starting = threading.Lock()
_deep = threading.Lock()


def on_deep_stack(call: Callable[[], T], stack_bytes: int) -> T:
    """Makes a call on a thread of its own, and waits for it.

    A stack is address space; only what the recursion reaches becomes resident, until the call
    returns.

    Args:
        call: The call; what it raises is raised here.
        stack_bytes: How much of the stack its recursion may need.

    Returns:
        The value that the call returns.

    Raises:
        RequestError: 503: there is no address space for such a stack.
    """
    if stack_bytes <= _SHARED_BYTES:
        return _on_thread(call, stack_bytes)
    with _deep:
        return _on_thread(call, stack_bytes)


def _on_thread(call: Callable[[], T], stack_bytes: int) -> T:
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(call())
        except BaseException as error:
            result.set_exception(error)

    thread = threading.Thread(target=run, name="deep-stack", daemon=True)
    with _starting:  # the size is that of all threads that are started
        before = threading.stack_size(_OWN_BYTES + stack_bytes // 4096 * 4096)
        try:
            thread.start()
        except RuntimeError as error:
            message = f"there is no memory for a stack of {stack_bytes:,} bytes; try again later"
            raise RequestError(message, status=503, code="out_of_memory", retry_after=1) from error
        finally:
            threading.stack_size(before)
    thread.join()
    return result.result()

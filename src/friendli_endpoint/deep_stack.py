"""Runs C code that recurses deeply on a thread with a large enough stack."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from friendli_endpoint.generation import RequestError

__all__ = ["on_deep_stack"]

T = TypeVar("T")

_OWN_BYTES = 1 << 20
"""Stack size for everything but the recursion."""

_SHARED_BYTES = 64 << 20
"""Calls with larger stacks run one at a time, because the used part of a stack is resident."""

_starting = threading.Lock()
_deep = threading.Lock()


def on_deep_stack(call: Callable[[], T], stack_bytes: int) -> T:
    """Runs a function on a thread of its own, and waits for it.

    A stack is only address space: the part that the recursion uses becomes resident, until the
    function returns.

    Args:
        call: The function; its exceptions are raised here.
        stack_bytes: Maximum size of the stack that its recursion needs.

    Returns:
        The function's return value.

    Raises:
        RequestError: 503: there is not enough address space for the stack.
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
    with _starting:  # the stack size applies to every thread that is started
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

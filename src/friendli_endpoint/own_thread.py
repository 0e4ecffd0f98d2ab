"""Runs a blocking function without the default worker threads, which may be busy for long."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["is_out_of_memory", "on_own_thread"]

T = TypeVar("T")

_NO_THREAD = "can't start new thread"
"""Message of the RuntimeError of a thread whose stack does not fit into memory."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that there is no memory, for an object or for a thread."""
    return isinstance(error, MemoryError) or str(error) == _NO_THREAD


async def on_own_thread(call: Callable[[], T]) -> T:
    """Runs a blocking function on a new thread, and awaits it.

    Cancelling does not wait for the function, which runs to its end. Without memory for another
    thread, the function runs on this one.

    Args:
        call: The function; its exceptions are raised here.

    Returns:
        The function's return value.
    """
    executor = ThreadPoolExecutor(1)
    try:
        running = executor.submit(call)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return call()
    else:
        return await asyncio.wrap_future(running)
    finally:
        executor.shutdown(wait=False)

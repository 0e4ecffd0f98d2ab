"""Runs a blocking function without the default worker threads, which may be busy for long."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["on_own_thread"]

T = TypeVar("T")


async def on_own_thread(call: Callable[[], T]) -> T:
    """Runs a blocking function on a new thread, and awaits it.

    Cancelling does not wait for the function, which runs to its end.

    Args:
        call: The function; its exceptions are raised here.

    Returns:
        The function's return value.
    """
    executor = ThreadPoolExecutor(1)
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, call)
    finally:
        executor.shutdown(wait=False)

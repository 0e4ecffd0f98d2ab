"""Blocking calls that must not wait for others: worker threads may be busy for long."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["on_own_thread"]

T = TypeVar("T")


async def on_own_thread(call: Callable[[], T]) -> T:
    """Makes a blocking call on a thread that is there for it alone."""
    executor = ThreadPoolExecutor(1)
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, call)
    finally:
        executor.shutdown(wait=False)

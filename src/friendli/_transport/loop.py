"""Access to the running event loop. asyncio is imported late: sync programs do not need it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


def current_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running asyncio loop; None without a loop, or in a loop of another library."""
    if "asyncio" not in sys.modules:
        return None
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def sleep(seconds: float) -> None:
    """Sleep, in asyncio or any event loop that anyio supports."""
    if current_loop() is not None:
        import asyncio

        await asyncio.sleep(seconds)
    else:
        import anyio  # a dependency of the HTTP client

        await anyio.sleep(seconds)


async def within(seconds: float | None, result: Awaitable[T]) -> T:
    """Await a result, in asyncio or any event loop that anyio supports.

    Args:
        seconds: Maximum time; None: unlimited.
        result: Awaitable to wait for; it is cancelled when the time is over.

    Raises:
        TimeoutError: The time is over.
    """
    if seconds is None:
        return await result
    if current_loop() is not None:
        import asyncio

        async with asyncio.timeout(seconds):
            return await result
    import anyio

    with anyio.fail_after(seconds):
        return await result


async def in_thread(function: Callable[[], Any]) -> Any:
    """Run a function in a worker thread, in asyncio or any event loop that anyio supports."""
    if current_loop() is not None:
        import asyncio

        return await asyncio.to_thread(function)
    import anyio.to_thread

    return await anyio.to_thread.run_sync(function)

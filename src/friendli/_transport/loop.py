"""Access to the running event loop. asyncio is imported late: sync programs do not need it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


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


async def in_thread(function: Callable[[], Any]) -> Any:
    """Run a function in a worker thread, in asyncio or any event loop that anyio supports."""
    if current_loop() is not None:
        import asyncio

        return await asyncio.to_thread(function)
    import anyio.to_thread

    return await anyio.to_thread.run_sync(function)

"""The event loop we run in. asyncio is imported only here and late: sync programs do without it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


def current_loop() -> asyncio.AbstractEventLoop | None:
    """Give asyncio's running loop; None in another kind of loop, or in none."""
    if "asyncio" not in sys.modules:
        return None
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def sleep(seconds: float) -> None:
    """Wait, in whatever event loop there is."""
    if current_loop() is not None:
        import asyncio

        await asyncio.sleep(seconds)
    else:
        import anyio  # the HTTP client brought it along

        await anyio.sleep(seconds)


async def in_thread(function: Callable[[], Any]) -> Any:
    """Run a function in a worker thread, in whatever event loop there is."""
    if current_loop() is not None:
        import asyncio

        return await asyncio.to_thread(function)
    import anyio.to_thread

    return await anyio.to_thread.run_sync(function)

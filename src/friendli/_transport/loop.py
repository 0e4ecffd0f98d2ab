"""Access to the running event loop, of asyncio or trio.

Both are imported late: sync programs need neither. What needs an event loop of another kind goes
through anyio, a dependency of the HTTP client.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    from asyncio import Task

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


def current_run() -> object | None:
    """Return the running asyncio loop, or the token of the running trio loop; None without either.

    Connections belong to one run: they cannot be used in another.
    """
    return current_loop() or _current_trio()


def _current_trio() -> Any:
    if "trio" not in sys.modules:
        return None
    import trio

    try:
        return trio.lowlevel.current_trio_token()
    except RuntimeError:
        return None


def run_later(run: object | None, function: Callable[[], Any]) -> None:
    """Run an async function in an event loop, from a finalizer, which may run in any thread.

    Args:
        run: Result of `current_run()` in that loop. In a loop that has ended, nothing is run.
        function: Async function without arguments that handles its own errors.
    """
    if run is None:
        return
    spawn = _spawn_in_trio if hasattr(run, "run_sync_soon") else _spawn_in_asyncio
    with contextlib.suppress(RuntimeError):  # the loop has ended
        spawn(run, function)


def _spawn_in_trio(token: Any, function: Callable[[], Any]) -> None:
    import trio

    token.run_sync_soon(trio.lowlevel.spawn_system_task, function)


_tasks: set[Task[None]] = set()
"""Tasks that need a reference until they are done."""


def _spawn_in_asyncio(loop: Any, function: Callable[[], Any]) -> None:
    if loop.is_closed():
        return

    def start() -> None:
        task = loop.create_task(function())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

    loop.call_soon_threadsafe(start)


async def gather(awaitables: Iterable[Awaitable[T]]) -> list[T]:
    """Await all results at the same time, in asyncio or any event loop that anyio supports."""
    if current_loop() is not None:
        import asyncio

        return list(await asyncio.gather(*awaitables))
    import anyio

    results: dict[int, T] = {}

    async def wait(index: int, awaitable: Awaitable[T]) -> None:
        results[index] = await awaitable

    async with anyio.create_task_group() as group:
        for index, awaitable in enumerate(awaitables):
            group.start_soon(wait, index, awaitable)
    return [results[index] for index in sorted(results)]


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


async def close_response(response: Any, chunks: AsyncIterator[bytes] | None) -> None:
    """Release the connection of an async response whose body may not have been read to its end.

    trio warns about an async generator that is garbage-collected before its end, and the body of an
    httpx2 response is several of them, one in another. After the connection is closed they end at
    their next read.

    Args:
        response: Response of the HTTP client.
        chunks: Iterator over its body that was used; None if there was none.
    """
    await response.aclose()
    if chunks is None or current_loop() is not None or not has_connection(response):
        return
    import anyio

    with anyio.CancelScope(shield=True), contextlib.suppress(Exception):
        async for _ in chunks:  # what was received before
            pass


def has_connection(response: Any) -> bool:
    """Whether a response is one of httpx or httpx2 that came over a network."""
    return "network_stream" in getattr(response, "extensions", ())


async def in_thread(function: Callable[[], Any]) -> Any:
    """Run a function in a worker thread, in asyncio or any event loop that anyio supports."""
    if current_loop() is not None:
        import asyncio

        return await asyncio.to_thread(function)
    import anyio.to_thread

    return await anyio.to_thread.run_sync(function)

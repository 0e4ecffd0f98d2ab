"""An event loop on a thread of its own, for callers with any event loop or none."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from friendli_endpoint.engine.remote.connection import new_event_loop

__all__ = ["LoopThread"]

T = TypeVar("T")


class LoopThread:
    """An event loop that runs on a thread of its own.

    Args:
        name: Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._loop = new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def time(self) -> float:
        """Returns the time in seconds, of the event loop's clock."""
        return self._loop.time()

    def call(self, action: Callable[[], None]) -> None:
        """Calls a function on the thread; returns at once."""
        self._loop.call_soon_threadsafe(action)

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Runs a coroutine on the thread; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine, until it ends or `cancel` is called; called on the thread."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Cancels what `start` has started; called on the thread."""
        for task in tuple(self._tasks):
            task.cancel()

    def stop(self) -> None:
        """Stops the event loop, and waits for the end of the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.join()

    def join(self) -> None:
        """Waits for the end of the thread."""
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

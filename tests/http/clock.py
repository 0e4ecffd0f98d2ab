"""Clocks that a test controls: a plain one in seconds, and that of an event loop."""

import asyncio
from collections.abc import Awaitable, Callable


class Clock:
    """A clock in seconds that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class ShiftedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock runs normally plus a `shift` that a test changes."""

    shift = 0.0

    def time(self) -> float:
        return super().time() + self.shift


def run_shifted(scenario: Callable[[ShiftedLoop], Awaitable[None]]) -> None:
    """Runs a scenario that may shift the clock; pytest's timeout limits it."""

    async def running() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ShiftedLoop)
        await scenario(loop)

    with asyncio.Runner(loop_factory=ShiftedLoop) as runner:
        runner.run(running())


async def until(condition: Callable[[], object], step: Callable[[], None] = lambda: None) -> None:
    """Runs the event loop until a condition is true, calling `step` in each iteration."""
    while not condition():
        step()
        await asyncio.sleep(0)

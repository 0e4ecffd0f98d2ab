"""Clocks that a test moves on: one of plain seconds, and that of an event loop."""

import asyncio
from collections.abc import Awaitable, Callable


class Clock:
    """Seconds that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class ShiftedLoop(asyncio.SelectorEventLoop):
    """Its clock goes as ever, and jumps when it is told."""

    shift = 0.0

    def time(self) -> float:
        return super().time() + self.shift


def run_shifted(scenario: Callable[[ShiftedLoop], Awaitable[None]]) -> None:
    """Runs a scenario, which may move the time on; pytest's timeout bounds it."""

    async def running() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ShiftedLoop)
        await scenario(loop)

    with asyncio.Runner(loop_factory=ShiftedLoop) as runner:
        runner.run(running())


async def until(happened: Callable[[], object], step: Callable[[], None] = lambda: None) -> None:
    """Lets the loop turn until something has happened, with a step at each turn."""
    while not happened():
        step()
        await asyncio.sleep(0)

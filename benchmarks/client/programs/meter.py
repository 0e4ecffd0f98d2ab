"""Measures one client in this process, and prints `name value` lines.

Usage: python meter.py PROGRAM MODE URL [STREAM]

PROGRAM is a module beside this file with classes `Sync` and `Async`; MODE is `start`, `sync`,
`async` or `stream`; URL is the canned server's. Times are CPU seconds of this process, all its
threads included, for each operation. Imports nothing that would be charged to the client.
"""

import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib import import_module
from typing import Any

SECONDS = 0.4
WARM = 3
PARALLEL = 32
SATURATED = (1000, 0, 0)
PACED = (200, 2000, 0)


def main(program: str, mode: str, url: str, stream: str = "") -> None:
    """Runs the measurements of a mode."""
    sys.path[0] = os.path.dirname(sys.path[0])
    name = f"programs.{program}"
    if mode == "start":
        return start(import_module(name), url)
    client = import_module(name)
    if mode == "async":
        import asyncio

        return asyncio.run(asynchronous(client, url))
    if mode == "stream":
        events, pace, size = (int(number) for number in stream.split("-"))
        return report("event", streamed(client.Sync, url, (events, pace, size)))
    report("post", repeated(client.Sync(f"{url}/whole").post))
    report("saturated", streamed(client.Sync, url, SATURATED))
    report("paced", streamed(client.Sync, url, PACED, once=True))


def start(client: Any, url: str) -> None:
    """From nothing to the first reply."""
    imported = resident()
    check(client.Sync(f"{url}/whole").post())
    report("cpu", time.process_time())
    report("imported", imported)
    report("replied", resident())


async def asynchronous(client: Any, url: str) -> None:
    """The measurements of mode `async`."""
    import asyncio

    one = client.Async(f"{url}/whole")
    report("post", await repeated_async(one.post))

    async def many() -> bool:
        return all(await asyncio.gather(*(one.post() for _ in range(PARALLEL))))

    report("parallel", await repeated_async(many) / PARALLEL)
    report("saturated", await streamed_async(client.Async, url, SATURATED))
    report("paced", await streamed_async(client.Async, url, PACED, once=True))


def repeated(operation: Callable[[], bool]) -> float:
    """CPU seconds of an operation."""
    for _ in range(WARM):
        check(operation())
    end = time.perf_counter() + SECONDS
    begun, count = time.process_time(), 0
    while time.perf_counter() < end:
        check(operation())
        count += 1
    return (time.process_time() - begun) / count


async def repeated_async(operation: Callable[[], Awaitable[bool]]) -> float:
    """CPU seconds of an operation."""
    for _ in range(WARM):
        check(await operation())
    end = time.perf_counter() + SECONDS
    begun, count = time.process_time(), 0
    while time.perf_counter() < end:
        check(await operation())
        count += 1
    return (time.process_time() - begun) / count


def streamed(
    client: Callable[[str], Any], url: str, stream: tuple[int, int, int], once: bool = False
) -> float:
    """CPU seconds of an event, from a stream's first event to its end."""
    one = client(f"{url}/stream-{stream[0]}-{stream[1]}-{stream[2]}")
    end = time.perf_counter() + SECONDS
    cpu, count = 0.0, 0
    while not count or (time.perf_counter() < end and not once):
        events: Iterator[Any] = one.events()
        next(events)
        begun = time.process_time()
        read = sum(1 for _ in events)
        cpu += time.process_time() - begun
        check(read >= stream[0] - 1)
        count += read
    return cpu / count


async def streamed_async(
    client: Callable[[str], Any], url: str, stream: tuple[int, int, int], once: bool = False
) -> float:
    """CPU seconds of an event, from a stream's first event to its end."""
    one = client(f"{url}/stream-{stream[0]}-{stream[1]}-{stream[2]}")
    end = time.perf_counter() + SECONDS
    cpu, count = 0.0, 0
    while not count or (time.perf_counter() < end and not once):
        events: AsyncIterator[Any] = one.events()
        await anext(events)
        begun, read = time.process_time(), 0
        async for _ in events:
            read += 1
        cpu += time.process_time() - begun
        check(read >= stream[0] - 1)
        count += read
    return cpu / count


def check(right: bool) -> None:
    """Stops the measurement where a client did not do its work."""
    if not right:
        sys.exit("the client did not give the canned answer")


def resident() -> float:
    """Resident memory of this process, in bytes."""
    with open("/proc/self/statm") as statm:
        return float(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def report(name: str, value: float) -> None:
    """Prints a result."""
    print(name, value, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

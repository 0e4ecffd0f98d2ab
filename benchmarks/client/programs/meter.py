"""Measures one client in this process, and prints `name value` lines.

Usage: python meter.py PROGRAM MODE URL [STREAM]

PROGRAM is a module in this folder with classes `Sync` and `Async`; MODE is `start`, `sync`, `async`
or `stream`; URL is that of the canned server. Times are CPU seconds per operation, of all threads
of this process. Imports that would distort the measurement are avoided.
"""

import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib import import_module
from typing import Any

SECONDS = 0.4
WARM = 3
PARALLEL = 64
SATURATED = (1000, 0, 0)
PACED = (200, 2000, 0)
PACED_PARALLEL = (20, 100_000, 0)


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
    """Measures a process from its start to the first response."""
    imported = resident()
    check(client.Sync(f"{url}/whole").post())
    report("cpu", time.process_time())
    report("imported", imported)
    report("replied", resident())


async def asynchronous(client: Any, url: str) -> None:
    """Runs the measurements of mode `async`."""
    import asyncio

    program = client.Async(f"{url}/whole")
    report("post", await repeated_async(program.post))

    async def parallel() -> bool:
        return all(await asyncio.gather(*(program.post() for _ in range(PARALLEL))))

    report("parallel", await repeated_async(parallel) / PARALLEL)
    report("saturated", await streamed_async(client.Async, url, SATURATED))
    report("paced", await streamed_async(client.Async, url, PACED, once=True))
    report("paced_parallel", await streamed_in_parallel(client.Async, url, PACED_PARALLEL))


def repeated(operation: Callable[[], bool]) -> float:
    """Returns the CPU seconds per operation."""
    for _ in range(WARM):
        check(operation())
    end = time.perf_counter() + SECONDS
    start_cpu, count = time.process_time(), 0
    while time.perf_counter() < end:
        check(operation())
        count += 1
    return (time.process_time() - start_cpu) / count


async def repeated_async(operation: Callable[[], Awaitable[bool]]) -> float:
    """Returns the CPU seconds per operation."""
    for _ in range(WARM):
        check(await operation())
    end = time.perf_counter() + SECONDS
    start_cpu, count = time.process_time(), 0
    while time.perf_counter() < end:
        check(await operation())
        count += 1
    return (time.process_time() - start_cpu) / count


def streamed(
    client: Callable[[str], Any], url: str, stream: tuple[int, int, int], once: bool = False
) -> float:
    """Returns the CPU seconds per event, from the first event of a stream to its end."""
    program = client(f"{url}/stream-{stream[0]}-{stream[1]}-{stream[2]}")
    end = time.perf_counter() + SECONDS
    cpu, count = 0.0, 0
    while not count or (time.perf_counter() < end and not once):
        events: Iterator[Any] = program.events()
        next(events)
        start_cpu = time.process_time()
        read = sum(1 for _ in events)
        cpu += time.process_time() - start_cpu
        check(read >= stream[0] - 1)
        count += read
    return cpu / count


async def streamed_async(
    client: Callable[[str], Any], url: str, stream: tuple[int, int, int], once: bool = False
) -> float:
    """Returns the CPU seconds per event, from the first event of a stream to its end."""
    program = client(f"{url}/stream-{stream[0]}-{stream[1]}-{stream[2]}")
    end = time.perf_counter() + SECONDS
    cpu, count = 0.0, 0
    while not count or (time.perf_counter() < end and not once):
        events: AsyncIterator[Any] = program.events()
        await anext(events)
        start_cpu, read = time.process_time(), 0
        async for _ in events:
            read += 1
        cpu += time.process_time() - start_cpu
        check(read >= stream[0] - 1)
        count += read
    return cpu / count


async def streamed_in_parallel(
    client: Callable[[str], Any], url: str, stream: tuple[int, int, int]
) -> float:
    """Returns the CPU seconds per event of parallel streams, after the first event of each."""
    import asyncio

    program = client(f"{url}/stream-{stream[0]}-{stream[1]}-{stream[2]}")
    cpu, count = 0.0, 0
    for measured in (False, True):
        streams: list[AsyncIterator[Any]] = [program.events() for _ in range(PARALLEL)]
        await asyncio.gather(*(anext(events) for events in streams))
        start_cpu = time.process_time()
        read = await asyncio.gather(*map(length, streams))
        check(min(read) >= stream[0] - 1)
        if measured:
            cpu, count = time.process_time() - start_cpu, sum(read)
    return cpu / count


async def length(events: AsyncIterator[Any]) -> int:
    """Returns the number of remaining events."""
    count = 0
    async for _ in events:
        count += 1
    return count


def check(correct: bool) -> None:
    """Exits if a client did not return the canned answer."""
    if not correct:
        sys.exit("the client did not return the canned answer")


def resident() -> float:
    """Returns the resident memory of this process, in bytes."""
    with open("/proc/self/statm") as statm:
        return float(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def report(name: str, value: float) -> None:
    """Prints a result line."""
    print(name, value, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

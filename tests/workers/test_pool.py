"""Worker processes: what a job may use, and what happens to the others when it uses more."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from friendli_endpoint.workers import (
    WorkerCrashError,
    WorkerError,
    WorkerPool,
    WorkersBusyError,
    WorkerStartError,
    WorkerTimeoutError,
)
from friendli_endpoint.workers.fork_server import MAX_IDLE_BYTES, Setup
from tests.workers.processes import children_of, fork_servers

MIB = 1 << 20
FACTORY = "tests.workers.jobs:load"


@asynccontextmanager
async def started(
    size: int = 1, cpu_seconds: float = 20.0, wait_seconds: float = 20.0
) -> AsyncIterator[WorkerPool]:
    setup = Setup(FACTORY, ("Hello",), cpu_seconds, 256 * MIB)
    pool = WorkerPool(setup, size=size, wait_seconds=wait_seconds)
    try:
        await asyncio.to_thread(pool.start, "!")
        yield pool
    finally:
        pool.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())


async def until_no_children() -> None:
    while fork_servers():
        await asyncio.sleep(0.01)


def test_jobs_return_their_results() -> None:
    async def test() -> None:
        async with started(2) as pool:
            results = await asyncio.gather(*(pool.run(f"echo {n}".encode()) for n in range(50)))
            assert results == [f"Hello! {number}".encode() for number in range(50)]
            large = b"x" * (3 * MIB)
            assert await pool.run(b"echo " + large) == b"Hello! " + large

    run(test)


def test_a_worker_does_one_job_after_another() -> None:
    async def test() -> None:
        async with started() as pool:
            assert len({await pool.run(b"pid") for _ in range(10)}) == 1

    run(test)


def test_a_worker_that_keeps_much_memory_after_a_job_is_replaced() -> None:
    async def test() -> None:
        async with started() as pool:
            first = await pool.run(b"pid")
            for _ in range(2):
                assert await pool.run(b"keep %d" % (MAX_IDLE_BYTES * 2 // 3)) == first
            assert await pool.run(b"pid") != first

    run(test)


def test_a_job_that_uses_up_its_cpu_time_ends_with_the_field_it_worked_on() -> None:
    async def test() -> None:
        async with started(cpu_seconds=0.2) as pool:
            before = await pool.run(b"pid")
            with pytest.raises(WorkerTimeoutError) as error:
                await pool.run(b"spin response_format")
            assert error.value.field == "response_format"
            assert await pool.run(b"pid") != before
            assert await pool.run(b"echo well") == b"Hello! well"

    run(test)


def test_cpu_time_is_counted_for_each_job_alone() -> None:
    async def test() -> None:
        async with started(cpu_seconds=0.2) as pool:
            assert await pool.run(b"sleep 0.5") == b"Hello! awake"
            for _ in range(300):
                await pool.run(b"echo " + b"x" * MIB)

    run(test)


@pytest.mark.parametrize(
    ("job", "field", "reason"),
    [
        (f"allocate {512 * MIB}", "messages", "out of memory"),
        ("crash", "tools[0]", "SIGSEGV"),
        ("leave 3", "", "exit code 3"),
    ],
)
def test_a_job_that_ends_its_worker_costs_nobody_else(job: str, field: str, reason: str) -> None:
    async def test() -> None:
        async with started(2) as pool:
            beside = asyncio.create_task(pool.run(b"sleep 0.2"))
            with pytest.raises(WorkerCrashError) as error:
                await pool.run(job.encode())
            assert (error.value.field, error.value.reason) == (field, reason)
            assert await beside == b"Hello! awake"
            assert await pool.run(b"echo well") == b"Hello! well"

    run(test)


def test_memory_below_the_limit_may_be_used() -> None:
    async def test() -> None:
        async with started() as pool:
            expected = f"Hello! {100 * MIB}".encode()
            assert await pool.run(f"allocate {100 * MIB}".encode()) == expected

    run(test)


def test_a_job_that_raises_leaves_its_worker() -> None:
    async def test() -> None:
        async with started() as pool:
            before = await pool.run(b"pid")
            with pytest.raises(WorkerError, match="ValueError: no such thing"):
                await pool.run(b"raise no such thing")
            assert await pool.run(b"pid") == before

    run(test)


def test_a_cancelled_job_ends_at_once_and_makes_way() -> None:
    async def test() -> None:
        async with started() as pool:
            job = asyncio.create_task(pool.run(b"sleep 50"))
            await asyncio.sleep(0.05)
            waiting = asyncio.create_task(pool.run(b"echo next"))
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await job
            assert await waiting == b"Hello! next"

    run(test)


def test_a_job_that_is_cancelled_while_it_waits_takes_no_worker() -> None:
    async def test() -> None:
        async with started() as pool:
            running = asyncio.create_task(pool.run(b"sleep 0.2"))
            await asyncio.sleep(0)
            waiting = asyncio.create_task(pool.run(b"spin never"))
            await asyncio.sleep(0)
            waiting.cancel()
            assert await running == b"Hello! awake"
            assert await pool.run(b"echo next") == b"Hello! next"

    run(test)


def test_who_waits_too_long_for_a_worker_hears_that_all_are_busy() -> None:
    async def test() -> None:
        async with started(wait_seconds=0.05) as pool:
            running = asyncio.create_task(pool.run(b"sleep 0.5"))
            await asyncio.sleep(0)
            with pytest.raises(WorkersBusyError):
                await pool.run(b"echo late")
            assert await running == b"Hello! awake"

    run(test)


def test_workers_that_are_killed_while_idle_cost_no_job() -> None:
    async def test() -> None:
        async with started(3) as pool:
            (server,) = fork_servers()
            for worker in children_of(server):
                os.kill(worker, signal.SIGKILL)
            assert await pool.run(b"echo again") == b"Hello! again"

    run(test)


def test_a_job_whose_worker_is_killed_from_outside_is_done_again() -> None:
    async def test() -> None:
        async with started() as pool:
            worker = int((await pool.run(b"pid")).split()[1])
            job = asyncio.create_task(pool.run(b"sleep 0.3"))
            await asyncio.sleep(0.05)
            os.kill(worker, signal.SIGKILL)
            assert await job == b"Hello! awake"
            assert (await pool.run(b"pid")).split()[1] != str(worker).encode()

    run(test)


def test_a_fork_server_that_is_killed_is_started_again() -> None:
    async def test() -> None:
        async with started() as pool:
            (server,) = fork_servers()
            (worker,) = children_of(server)
            os.kill(server, signal.SIGKILL)
            os.kill(worker, signal.SIGKILL)
            assert await pool.run(b"echo again") == b"Hello! again"
        await until_no_children()

    run(test)


def test_no_process_is_left_behind() -> None:
    async def test() -> None:
        async with started(3) as pool:
            (server,) = fork_servers()
            workers = children_of(server)
            assert len(workers) == 3
            job = asyncio.create_task(pool.run(b"sleep 0.1"))
            await asyncio.sleep(0)
        assert await asyncio.gather(job, return_exceptions=True)
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            await asyncio.sleep(0.01)

    run(test)


def test_a_handler_that_cannot_be_made_is_told_by_its_reason() -> None:
    setup = Setup("tests.workers.jobs:fail_to_load", (), 1.0, MIB)
    pool = WorkerPool(setup, size=1, wait_seconds=1.0)
    with pytest.raises(WorkerStartError, match="the vocabulary is missing"):
        pool.start()
    pool.close()
    pool.close()


def test_a_closed_pool_takes_no_jobs() -> None:
    async def test() -> None:
        async with started() as pool:
            pool.close()
            pool.close()
            with pytest.raises(WorkerStartError):
                await pool.run(b"echo late")

    run(test)

"""Preparing requests in worker processes: limits on their time and memory, and who pays."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.chat.conversation import ChatDefaults
from friendli_endpoint.generation import RequestError
from friendli_endpoint.preparation import ThreadPreparer, WorkerPreparer
from friendli_endpoint.workers import Setup, WorkerPool
from tests.chat.random_requests import MODELS, PLAIN
from tests.support.chat import body_of
from tests.support.scripted import ScriptedVocabulary
from tests.workers.preparing import FACTORY
from tests.workers.processes import children_of, fork_servers

CONTEXT = 4096
GIB = 1 << 30


@asynccontextmanager
async def preparing(
    cpu_seconds: float = 20.0,
    size: int = 1,
    wait_seconds: float = 20.0,
    record_compile: Callable[[float], None] = lambda _seconds: None,
) -> AsyncIterator[WorkerPreparer]:
    """Yields a preparer with worker processes."""
    vocabulary = partial(ScriptedVocabulary, context=CONTEXT)
    pool = WorkerPool(
        Setup(FACTORY, (vocabulary,), cpu_seconds, GIB), size=size, wait_seconds=wait_seconds
    )
    preparer = WorkerPreparer(pool, cpu_seconds, record_compile)
    try:
        await asyncio.to_thread(pool.start, PLAIN, CONTEXT, ChatDefaults())
        yield preparer
    finally:
        preparer.close()


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(100):
            await test()

    asyncio.run(bounded())


REGEX = {"type": "regex", "schema": "[ab]+"}


def spinning(**fields: Any) -> DedicatedChatCompletionBody:
    """Returns a request whose constraint takes all the CPU time that it gets."""
    return body_of(model="spin:response_format", response_format=REGEX, **fields)


async def until_busy(pid: int) -> None:
    """Waits until a process has used CPU time."""
    before = cpu_ticks(pid)
    while cpu_ticks(pid) == before:
        await asyncio.sleep(0.01)


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_request_is_prepared_in_another_process() -> None:
    async def test() -> None:
        seconds: list[float] = []
        async with preparing(record_compile=seconds.append) as preparer:
            prepared = await preparer.prepare(body_of(response_format=REGEX, seed=1))
            assert prepared.request.rules.grammar is not None
            assert len(seconds) == 1
            with pytest.raises(RequestError) as caught:
                await preparer.prepare(body_of(top_p=7))
            assert (caught.value.param, caught.value.status) == ("top_p", 400)

    run(test)


def test_a_constraint_beyond_the_cpu_time_is_an_error_of_its_field() -> None:
    async def test() -> None:
        async with preparing(cpu_seconds=0.05) as preparer:
            with pytest.raises(RequestError) as caught:
                await preparer.prepare(spinning())
            error = caught.value
            assert (error.status, error.param, error.code) == (
                400,
                "response_format",
                "too_complex",
            )
            assert "more than 0.05 s of CPU time" in error.message

    run(test)


def test_a_fault_while_a_field_is_prepared_is_an_error_of_that_field() -> None:
    async def test() -> None:
        async with preparing() as preparer:
            with pytest.raises(RequestError) as caught:
                await preparer.prepare(body_of(model="crash:tools"))
            error = caught.value
            assert (error.status, error.param, error.code) == (400, "tools", "too_complex")
            assert "SIGSEGV" in error.message
            assert (await preparer.prepare(body_of())).model == "m"

    run(test)


def test_a_constraint_beyond_the_cpu_time_is_rejected_at_once_the_next_time() -> None:
    async def test() -> None:
        async with preparing(cpu_seconds=0.05) as preparer:
            with pytest.raises(RequestError) as first:
                await preparer.prepare(spinning())
            (server,) = fork_servers()
            before = children_of(server)
            with pytest.raises(RequestError) as second:
                await preparer.prepare(spinning(n=2))
            assert second.value is first.value
            assert children_of(server) == before  # no worker was asked

    run(test)


def test_a_client_that_leaves_ends_the_work_for_it() -> None:
    async def test() -> None:
        async with preparing() as preparer:
            job = asyncio.create_task(preparer.prepare(spinning()))
            (server,) = fork_servers()
            (worker,) = children_of(server)
            await until_busy(worker)
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await job
            assert worker not in children_of(server)
            assert (await preparer.prepare(body_of(seed=1))).model == "m"

    run(test)


def test_a_request_that_waits_too_long_for_a_worker_is_told_to_come_back() -> None:
    async def test() -> None:
        async with preparing(wait_seconds=0.05) as preparer:
            job = asyncio.create_task(preparer.prepare(spinning()))
            await asyncio.sleep(0)
            (server,) = fork_servers()
            (worker,) = children_of(server)
            await until_busy(worker)
            with pytest.raises(RequestError) as caught:
                await preparer.prepare(body_of())
            assert (caught.value.status, caught.value.code) == (503, "workers_busy")
            assert caught.value.retry_after is not None
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)

    run(test)


def test_a_worker_that_is_killed_from_outside_costs_no_request() -> None:
    async def test() -> None:
        async with preparing(size=2) as preparer:
            (server,) = fork_servers()
            for worker in children_of(server):
                os.kill(worker, signal.SIGKILL)
            prepared = await asyncio.gather(*(preparer.prepare(body_of()) for _ in range(4)))
            assert len(prepared) == 4

    run(test)


def test_no_secret_of_the_endpoint_is_in_the_environment_of_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FRIENDLI_ENDPOINT_TOKENS", "hunter2")

    async def test() -> None:
        async with preparing():
            (server,) = fork_servers()
            for pid in (server, *children_of(server)):
                assert b"hunter2" not in Path(f"/proc/{pid}/environ").read_bytes()

    run(test)


def test_threads_prepare_the_same() -> None:
    async def test() -> None:
        preparer = ThreadPreparer(MODELS[PLAIN])
        prepared = await preparer.prepare(body_of(seed=3))
        assert json.dumps(prepared.request.choices[0].seed) == "3"
        preparer.close()

    run(test)


def test_texts_are_tokenized_by_workers_within_the_same_limits() -> None:
    async def test() -> None:
        async with preparing(cpu_seconds=0.5) as preparer:
            in_threads = ThreadPreparer(MODELS[PLAIN])
            for special in (False, True):
                text = "caf\N{EURO SIGN}<|im_end|>"
                tokens = await preparer.tokenize(text, special)
                assert tokens == await in_threads.tokenize(text, special)
            for text, code in (
                ("spin:prompt", "too_complex"),
                ("crash:prompt", "too_complex"),
                ("x" * 200_000, "context_length_exceeded"),
            ):
                with pytest.raises(RequestError) as caught:
                    await preparer.tokenize(text, False)
                assert (caught.value.status, caught.value.code) == (400, code)
                assert caught.value.param == "prompt"

    run(test)

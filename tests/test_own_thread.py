"""Blocking calls on dedicated threads, independent of the executor's worker threads."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from friendli_endpoint.own_thread import is_out_of_memory, on_own_thread
from tests.http.scripted import BOUND, run


def test_a_call_does_not_wait_for_the_worker_threads() -> None:
    async def scenario() -> None:
        free = threading.Event()
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = asyncio.ensure_future(asyncio.to_thread(free.wait, BOUND))
        await asyncio.sleep(0)
        try:
            assert await on_own_thread(lambda: 3) == 3
            assert not busy.done()
        finally:
            free.set()
        assert await busy

    run(scenario)


def test_two_calls_do_not_wait_for_each_other() -> None:
    async def scenario() -> None:
        both = threading.Barrier(2, timeout=BOUND)
        await asyncio.gather(on_own_thread(both.wait), on_own_thread(both.wait))

    run(scenario)


def test_an_exception_of_a_call_is_raised_where_it_is_awaited() -> None:
    async def scenario() -> None:
        with pytest.raises(ZeroDivisionError):
            await on_own_thread(lambda: 1 // 0)

    run(scenario)


def test_cancelling_the_await_does_not_wait_for_the_call() -> None:
    async def scenario() -> None:
        begun, free, ended = threading.Event(), threading.Event(), threading.Event()

        def call() -> None:
            begun.set()
            free.wait(BOUND)
            ended.set()

        waiting = asyncio.ensure_future(on_own_thread(call))
        assert await asyncio.to_thread(begun.wait, BOUND)
        waiting.cancel()
        try:
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert not ended.is_set()
        finally:
            free.set()

    run(scenario)


@pytest.mark.parametrize("message", ["can't start new thread", "another error"])
def test_without_memory_for_a_thread_the_function_runs_on_this_one(
    message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError(message)

    async def scenario() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            if message == "another error":
                with pytest.raises(RuntimeError, match=message):
                    await on_own_thread(threading.get_ident)
            else:
                assert await on_own_thread(threading.get_ident) == threading.get_ident()

    run(scenario)


def test_errors_that_mean_too_little_memory_are_recognized() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("can't start new thread"))
    assert not is_out_of_memory(RuntimeError("another error"))

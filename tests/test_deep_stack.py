"""Calls on deep stacks: results, errors and concurrency."""

import threading

import pytest

from friendli_endpoint import deep_stack
from friendli_endpoint.deep_stack import on_deep_stack
from friendli_endpoint.generation import RequestError


def test_the_result_or_exception_of_a_call_is_passed_on() -> None:
    before = threading.stack_size()
    assert on_deep_stack(lambda: 3, 1 << 20) == 3
    assert on_deep_stack(lambda: threading.current_thread().name, 256 << 20) == "deep-stack"
    with pytest.raises(ZeroDivisionError):
        on_deep_stack(lambda: 1 // 0, 1 << 20)
    assert threading.stack_size() == before


def test_a_stack_that_cannot_be_allocated_is_503() -> None:
    before = threading.stack_size()
    with pytest.raises(RequestError, match="no memory for a stack") as caught:
        on_deep_stack(lambda: 0, 1 << 50)
    assert (caught.value.status, caught.value.retry_after) == (503, 1)
    assert threading.stack_size() == before
    assert on_deep_stack(lambda: 1, 0) == 1


def test_very_deep_stacks_are_used_one_at_a_time() -> None:
    done = threading.Event()
    deep = deep_stack._SHARED_BYTES + 1
    waiting = threading.Thread(target=on_deep_stack, args=(done.set, deep), daemon=True)
    with deep_stack._deep:
        waiting.start()
        assert on_deep_stack(lambda: "done", deep_stack._SHARED_BYTES) == "done"
        assert not done.is_set()
    waiting.join()
    assert done.is_set()


def test_system_exit_within_a_call_is_raised_to_the_caller() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit) as left:
        on_deep_stack(leave, 1 << 20)
    assert left.value.code == 3

"""Admission control: the bounds of the queue, and `retry_after`."""

import mmap

import pytest

from friendli_endpoint.engine.core.admission import MAX_WAIT, Admission, Demand, resident_memory
from friendli_endpoint.generation import Grammar, RequestError


class Clock:
    """Clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def rejected(admission: Admission, tokens: int = 1) -> int:
    """Returns `retry_after` of a request that must be rejected."""
    with pytest.raises(RequestError) as caught:
        admission.enter(Demand(tokens))
    assert (caught.value.status, caught.value.code) == (429, "queue_full")
    assert caught.value.retry_after is not None
    assert f"in {caught.value.retry_after} s" in caught.value.message
    return caught.value.retry_after


def test_the_number_of_queued_requests_is_bounded(clock: Clock) -> None:
    admission = Admission(2, 1000, clock=clock)
    admission.enter(Demand(5))
    admission.enter(Demand(5))
    rejected(admission)
    admission.leave(Demand(5))
    admission.enter(Demand(5))
    rejected(admission)
    admission.leave(Demand(5))
    admission.enter(Demand(5))


def test_queued_tokens_are_bounded_but_a_single_request_is_admitted(clock: Clock) -> None:
    admission = Admission(10, 100, clock=clock)
    admission.enter(Demand(5000))
    rejected(admission)
    admission.leave(Demand(5000))
    admission.enter(Demand(60))
    rejected(admission, 41)
    admission.enter(Demand(40))


def started(admission: Admission, clock: Clock, number: int, seconds: float) -> None:
    """Admits requests that leave the queue one after another, each after these seconds."""
    for _ in range(number):
        admission.enter(Demand(1))
        clock.now += seconds
        admission.leave(Demand(1))


def test_retry_after_depends_on_the_rate_and_on_earlier_rejected_requests(clock: Clock) -> None:
    admission = Admission(3, 1000, clock=clock)
    started(admission, clock, 4, 10)
    for _ in range(3):
        admission.enter(Demand(1))
    assert [rejected(admission) for _ in range(3)] == [10, 20, 30]
    clock.now += 10
    assert rejected(admission) == 33  # 12.5 s each now; two rejected requests go first


def test_a_request_that_waits_for_retry_after_is_admitted_at_the_same_rate(clock: Clock) -> None:
    admission = Admission(5, 1000, clock=clock)
    started(admission, clock, 8, 4)
    for _ in range(5):
        admission.enter(Demand(1))
    due = sorted(clock.now + rejected(admission) for _ in range(5))
    for time in due:
        while clock.now + 4 <= time:
            clock.now += 4
            admission.leave(Demand(1))
        admission.enter(Demand(1))


def test_no_number_of_rejected_requests_raises_retry_after_above_the_time_of_the_queue(
    clock: Clock,
) -> None:
    admission = Admission(4, 1000, clock=clock)
    started(admission, clock, 4, 7)
    for _ in range(4):
        admission.enter(Demand(1))
    times = [rejected(admission) for _ in range(1000)]
    assert times == [7, 14, 21, 28] * 250


def test_the_time_of_an_empty_queue_does_not_count(clock: Clock) -> None:
    admission = Admission(2, 1000, clock=clock)
    started(admission, clock, 4, 5)
    clock.now += 1e6
    for _ in range(2):
        admission.enter(Demand(1))
    assert rejected(admission) == 5


def test_requests_that_give_up_make_space_too(clock: Clock) -> None:
    admission = Admission(2, 1000, clock=clock)
    admission.enter(Demand(1))
    admission.enter(Demand(1))
    clock.now += 30
    admission.leave(Demand(1))
    admission.leave(Demand(1))
    admission.enter(Demand(1))
    admission.enter(Demand(1))
    assert rejected(admission) == 15


def test_retry_after_is_bounded(clock: Clock) -> None:
    admission = Admission(1, 1000, clock=clock)
    admission.enter(Demand(1))
    assert rejected(admission) == 1
    admission.leave(Demand(1))
    admission.enter(Demand(1))
    clock.now += 1e6
    assert rejected(admission) == MAX_WAIT


def test_queued_bytes_are_bounded_and_equal_grammars_count_once(clock: Clock) -> None:
    admission = Admission(10, 1000, 1 << 20, clock=clock)
    with_grammar = [
        Demand(1, 1 << 10, Grammar("regex", text * 1000)) for text in ("a", "a", "b", "c")
    ]
    for demand in with_grammar[:2]:
        admission.enter(demand)
    admission.enter(Demand(1, 400 << 10))
    rejected_demand(admission, with_grammar[2])
    admission.leave(with_grammar[0])
    rejected_demand(admission, with_grammar[2])
    admission.leave(with_grammar[1])
    admission.enter(with_grammar[2])
    rejected_demand(admission, with_grammar[3])


def test_a_single_request_of_any_size_is_admitted(clock: Clock) -> None:
    admission = Admission(10, 1000, 1, 1, clock=clock, resident=lambda: 2)
    admission.enter(Demand(1, 5000, Grammar("regex", "a")))
    rejected_demand(admission, Demand(0))


def test_above_the_high_water_mark_of_memory_requests_are_rejected(clock: Clock) -> None:
    readings = [99, 100, 99]
    admission = Admission(10, 1000, 1 << 20, 100, clock=clock, resident=lambda: readings.pop(0))
    admission.enter(Demand(1))
    admission.enter(Demand(1))
    admission.enter(Demand(1))
    assert len(readings) == 2, "the memory is not read for each request"
    clock.now += 1
    message = rejected_demand(admission, Demand(1))
    assert "little memory left" in message
    clock.now += 1
    admission.enter(Demand(1))


@pytest.mark.parametrize("full", ["requests", "tokens", "bytes", "memory"])
def test_a_resumed_request_is_queued_whatever_the_bounds_and_counts_towards_them(
    full: str, clock: Clock
) -> None:
    admission = Admission(
        1 if full == "requests" else 10,
        10 if full == "tokens" else 1000,
        100 if full == "bytes" else 1 << 20,
        1 if full == "memory" else None,
        clock=clock,
        resident=lambda: 1,
    )
    demand = Demand(10, 100)
    admission.enter(demand)
    rejected_demand(admission, demand)
    admission.enter(demand, resumed=True)
    assert "2 requests with 20 prompt tokens" in rejected_demand(admission, demand)
    admission.leave(demand)
    admission.leave(demand)
    admission.enter(demand)


def test_the_memory_of_the_process_is_read() -> None:
    before = resident_memory()
    with mmap.mmap(-1, 32 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:
        held.write(bytes(len(held)))
        assert resident_memory() - before > len(held) // 2


def rejected_demand(admission: Admission, demand: Demand) -> str:
    """Returns the message to a request that must be rejected."""
    with pytest.raises(RequestError) as caught:
        admission.enter(demand)
    assert (caught.value.status, caught.value.code) == (429, "queue_full")
    assert caught.value.retry_after is not None
    return caught.value.message

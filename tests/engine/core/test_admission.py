"""Admission control: the bounds of the queue, and `retry_after`."""

import pytest

from friendli_endpoint.engine.core.admission import MAX_WAIT, Admission
from friendli_endpoint.generation import RequestError


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
        admission.enter(tokens)
    assert (caught.value.status, caught.value.code) == (429, "queue_full")
    assert caught.value.retry_after is not None
    assert f"in {caught.value.retry_after} s" in caught.value.message
    return caught.value.retry_after


def test_the_number_of_queued_requests_is_bounded(clock: Clock) -> None:
    admission = Admission(2, 1000, clock)
    admission.enter(5)
    admission.enter(5)
    rejected(admission)
    admission.leave(5)
    admission.enter(5)
    rejected(admission)
    admission.leave(5)
    admission.enter(5)


def test_queued_tokens_are_bounded_but_a_single_request_is_admitted(clock: Clock) -> None:
    admission = Admission(10, 100, clock)
    admission.enter(5000)
    rejected(admission)
    admission.leave(5000)
    admission.enter(60)
    rejected(admission, 41)
    admission.enter(40)


def started(admission: Admission, clock: Clock, number: int, seconds: float) -> None:
    """Admits requests that leave the queue one after another, each after these seconds."""
    for _ in range(number):
        admission.enter(1)
        clock.now += seconds
        admission.leave(1)


def test_retry_after_depends_on_the_rate_and_on_earlier_rejected_requests(clock: Clock) -> None:
    admission = Admission(3, 1000, clock)
    started(admission, clock, 4, 10)
    for _ in range(3):
        admission.enter(1)
    assert [rejected(admission) for _ in range(3)] == [10, 20, 30]
    clock.now += 10
    assert rejected(admission) == 33  # 12.5 s each now; two rejected requests go first


def test_a_request_that_waits_for_retry_after_is_admitted_at_the_same_rate(clock: Clock) -> None:
    admission = Admission(5, 1000, clock)
    started(admission, clock, 8, 4)
    for _ in range(5):
        admission.enter(1)
    due = sorted(clock.now + rejected(admission) for _ in range(5))
    for time in due:
        while clock.now + 4 <= time:
            clock.now += 4
            admission.leave(1)
        admission.enter(1)


def test_no_number_of_rejected_requests_raises_retry_after_above_the_time_of_the_queue(
    clock: Clock,
) -> None:
    admission = Admission(4, 1000, clock)
    started(admission, clock, 4, 7)
    for _ in range(4):
        admission.enter(1)
    times = [rejected(admission) for _ in range(1000)]
    assert times == [7, 14, 21, 28] * 250


def test_the_time_of_an_empty_queue_does_not_count(clock: Clock) -> None:
    admission = Admission(2, 1000, clock)
    started(admission, clock, 4, 5)
    clock.now += 1e6
    for _ in range(2):
        admission.enter(1)
    assert rejected(admission) == 5


def test_requests_that_give_up_make_space_too(clock: Clock) -> None:
    admission = Admission(2, 1000, clock)
    admission.enter(1)
    admission.enter(1)
    clock.now += 30
    admission.leave(1)
    admission.leave(1)
    admission.enter(1)
    admission.enter(1)
    assert rejected(admission) == 15


def test_retry_after_is_bounded(clock: Clock) -> None:
    admission = Admission(1, 1000, clock)
    admission.enter(1)
    assert rejected(admission) == 1
    admission.leave(1)
    admission.enter(1)
    clock.now += 1e6
    assert rejected(admission) == MAX_WAIT

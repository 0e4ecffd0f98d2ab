"""How much may wait, and what those who are turned away are told."""

import pytest

from friendli_endpoint.engine.core.admission import LONGEST_WAIT, Admission
from friendli_endpoint.generation import RequestError


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def turned_away(admission: Admission, tokens: int = 1) -> int:
    """The seconds after which who is turned away should come again."""
    with pytest.raises(RequestError) as refused:
        admission.enter(tokens)
    assert (refused.value.status, refused.value.code) == (429, "queue_full")
    assert refused.value.retry_after is not None
    assert f"in {refused.value.retry_after} s" in refused.value.message
    return refused.value.retry_after


def test_so_many_requests_may_wait(clock: Clock) -> None:
    admission = Admission(2, 1000, clock)
    admission.enter(5)
    admission.enter(5)
    turned_away(admission)
    admission.start(5)
    admission.enter(5)
    turned_away(admission)
    admission.leave(5)
    admission.enter(5)


def test_so_many_tokens_may_wait_but_one_request_always(clock: Clock) -> None:
    admission = Admission(10, 100, clock)
    admission.enter(5000)
    turned_away(admission)
    admission.start(5000)
    admission.enter(60)
    turned_away(admission, 41)
    admission.enter(40)


def test_the_wait_follows_the_rate_and_those_turned_away_before(clock: Clock) -> None:
    admission = Admission(1, 1000, clock)
    for _ in range(4):
        admission.enter(1)
        admission.start(1)
        clock.now += 10
    admission.enter(1)
    assert [turned_away(admission) for _ in range(3)] == [10, 20, 30]
    clock.now += 10
    assert turned_away(admission) == 38  # 12.5 s a start by now; two others come before


def test_coming_back_when_told_finds_room_at_the_same_rate(clock: Clock) -> None:
    admission = Admission(3, 1000, clock)
    for _ in range(8):
        admission.enter(1)
        admission.start(1)
        clock.now += 4
    for _ in range(3):
        admission.enter(1)
    due = sorted(clock.now + turned_away(admission) for _ in range(5))
    for time in due:
        while clock.now + 4 <= time:
            clock.now += 4
            admission.start(1)
        admission.enter(1)


def test_a_wait_has_bounds(clock: Clock) -> None:
    admission = Admission(1, 1000, clock)
    admission.enter(1)
    assert turned_away(admission) == 1
    admission.start(1)
    clock.now += 1e6
    admission.enter(1)
    assert turned_away(admission) == LONGEST_WAIT

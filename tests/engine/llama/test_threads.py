"""Number of threads of a batch: the policy as a table and for all inputs, and its measurements."""

import logging
from dataclasses import dataclass
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.llama.processors import FreeProcessors
from friendli_endpoint.engine.llama.threads import (
    LOG_SECONDS,
    SHORT_SECONDS,
    WORK_PER_THREAD,
    BatchThreads,
    ThreadPolicy,
)

TOKEN = 94e6
"""Work of a token of the embedded model, in bytes."""

PLENTY = 1e12
"""Work for any number of threads."""


@pytest.mark.parametrize(
    ("max_threads", "work", "free", "threads"),
    [
        (2, TOKEN / 2, 2.0, 1),
        (2, TOKEN, 2.0, 2),
        (2, 2 * TOKEN, 2.0, 2),
        (2, 64 * TOKEN, None, 2),
        (2, 64 * TOKEN, 1.5, 2),
        (2, 64 * TOKEN, 1.3, 1),
        (2, 64 * TOKEN, 0.0, 1),
        (8, TOKEN, 8.0, 2),
        (8, 2 * TOKEN, 8.0, 4),
        (8, 12 * TOKEN, 8.0, 8),
        (8, PLENTY, 5.0, 5),
        (8, PLENTY, 40.0, 8),
        (1, PLENTY, 0.2, 1),
        (64, PLENTY, 24.3, 24),
    ],
)
def test_threads_follow_the_work_and_the_free_processors(
    max_threads: int, work: float, free: float | None, threads: int
) -> None:
    policy = ThreadPolicy(max_threads)
    policy.observe_free(free)
    assert policy.threads(work) == threads


Batch = tuple[float, float, float | None]
BATCHES = st.lists(
    st.tuples(st.floats(0.001, 10), st.floats(0, 1.2), st.none() | st.floats(0, 70)), max_size=40
)


@given(st.integers(1, 64), BATCHES, st.floats(0, 1e11), st.floats(0, 1e11))
def test_the_number_is_in_its_range_and_grows_with_the_work(
    max_threads: int, batches: list[Batch], work: float, more: float
) -> None:
    policy = ThreadPolicy(max_threads)
    for seconds, share, free in batches:
        policy.observe_free(free)
        threads = policy.threads(work)
        policy.observe_batch(threads, seconds, seconds * share * threads)
    number = policy.threads(work)
    assert 1 <= number <= policy.limit <= max_threads
    assert number <= policy.threads(work + more)
    assert number == 1 or number * WORK_PER_THREAD <= work


@given(st.integers(1, 64), st.lists(st.floats(0, 70), max_size=20), st.floats(0, 70))
def test_no_thread_lacks_most_of_a_processor(
    max_threads: int, before: list[float], free: float
) -> None:
    policy = ThreadPolicy(max_threads)
    for number in [*before, free]:
        policy.observe_free(number)
    assert policy.limit == 1 or policy.limit <= free + 0.6
    assert policy.limit == max_threads or policy.limit > free - 1.35
    limit = policy.limit
    policy.observe_free(free)
    assert policy.limit == limit, "the same measurement again changes nothing"


def test_small_changes_do_not_change_the_number() -> None:
    policy = ThreadPolicy(2)
    limits = []
    for free in (2.0, 1.5, 1.41, 1.39, 1.6, 1.64, 1.66, 1.5):
        policy.observe_free(free)
        limits.append(policy.limit)
    assert limits == [2, 2, 2, 1, 1, 1, 2, 2]


def compute(policy: ThreadPolicy, seconds: float, share: float) -> int:
    """Computes one batch at this share of the processors; returns its number of threads."""
    threads = policy.threads(PLENTY)
    policy.observe_batch(threads, seconds, seconds * share * threads)
    return threads


def test_batches_without_processors_lower_the_number_where_nothing_else_tells() -> None:
    policy = ThreadPolicy(8)
    assert compute(policy, 0.3, 0.5) == 8
    assert policy.limit == 4 and policy.is_short
    assert compute(policy, 0.3, 1.0) == 4
    assert not policy.is_short


def test_few_short_batches_decide_nothing() -> None:
    policy = ThreadPolicy(2)
    for _ in range(9):
        compute(policy, 0.02, 0.3)
    assert policy.limit == 2
    compute(policy, 0.03, 0.3)
    assert policy.limit == 1


def test_more_threads_are_tried_again_after_pauses_that_double() -> None:
    policy = ThreadPolicy(2)
    pauses = []
    for _ in range(4):
        assert compute(policy, 1.0, 0.3) == 2
        seconds = 0.0
        while policy.limit == 1:
            assert compute(policy, 0.25, 1.0) == 1
            seconds += 0.25
        pauses.append(seconds)
    assert pauses == [1.0, 2.0, 4.0, 8.0]
    for _ in range(300):
        compute(policy, 0.25, 1.0)
    compute(policy, 1.0, 0.3)
    for _ in range(4):
        assert policy.limit == 1
        compute(policy, 0.25, 1.0)
    assert policy.limit == 2, "after a long time without failures, the pauses are short again"


def test_a_thread_alone_is_never_too_many() -> None:
    policy = ThreadPolicy(1)
    assert compute(policy, 5.0, 0.1) == 1
    assert policy.limit == 1 and policy.is_short


@dataclass
class ScriptedProcessors:
    """A clock, and processors of which some are free."""

    free: float | None = 2.0
    now: float = 0.0
    used: float = 0.0

    def sample(self) -> float | None:
        return self.free

    def threads(self, max_threads: int, *, has_quota: bool = False) -> BatchThreads:
        return BatchThreads(
            max_threads,
            cast(FreeProcessors, self),
            has_quota,
            lambda: self.now,
            lambda: self.used,
        )

    def compute(self, threads: BatchThreads, seconds: float, share: float = 1.0) -> int:
        """Computes a batch, and returns its number of threads."""
        number = threads.begin(PLENTY)
        self.now += seconds
        self.used += seconds * share * number
        threads.end()
        return number


@pytest.mark.parametrize(
    ("free", "has_quota", "then"), [(2.0, False, 2), (2.0, True, 1), (None, False, 1)]
)
def test_the_time_of_batches_counts_where_the_free_processors_do_not_tell_all(
    free: float | None, has_quota: bool, then: int
) -> None:
    """A batch of which a GPU computes a part takes little time of the processors."""
    machine = ScriptedProcessors(free)
    threads = machine.threads(2, has_quota=has_quota)
    assert machine.compute(threads, 1.0, share=0.3) == 2
    assert machine.compute(threads, 1.0) == then


def test_the_number_follows_other_programs_from_batch_to_batch() -> None:
    machine = ScriptedProcessors()
    threads = machine.threads(2)
    numbers = []
    for free in (2.0, 0.7, 0.7, 1.9):
        machine.free = free
        numbers.append(machine.compute(threads, 0.1))
    assert numbers == [2, 1, 1, 2]


def test_a_line_says_that_processors_are_short(caplog: pytest.LogCaptureFixture) -> None:
    machine = ScriptedProcessors(free=0.7)
    threads = machine.threads(2)
    with caplog.at_level(logging.INFO):
        for _ in range(int(SHORT_SECONDS) * 2 + 200):
            machine.compute(threads, 0.5)
    assert [record.getMessage() for record in caplog.records] == [
        "processors are short, because other programs use them: computing with 1 of 2 threads; "
        "answers are slower until processors are free"
    ]
    with caplog.at_level(logging.INFO):
        machine.compute(threads, LOG_SECONDS)
    assert len(caplog.records) == 2


def test_a_moment_without_processors_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    machine = ScriptedProcessors()
    threads = machine.threads(2)
    with caplog.at_level(logging.INFO):
        for number in range(100):
            machine.free = 1.9 if number % 5 == 0 else 0.5
            machine.compute(threads, 0.5)
    assert not caplog.records

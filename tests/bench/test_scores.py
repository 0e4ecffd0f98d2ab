"""Scores of answers with given times."""

import pytest

from friendli_endpoint.bench.load import Answer
from friendli_endpoint.bench.scores import (
    decode_rate,
    first_tokens,
    gaps,
    max_gap_since,
    rate,
    step_time,
)
from friendli_endpoint.bench.wire import BenchError


def answer(sent: float, *times: list[float], tokens: int) -> Answer:
    return Answer(
        sent, dict(enumerate(times)), dict.fromkeys(range(len(times)), "x"), {}, 5, tokens
    )


STEADY = answer(10.0, [11.0, 12.0, 13.0, 14.0, 15.0], tokens=5)


LATE = answer(10.0, [14.0, 14.5, 15.0, 17.0, 18.0], tokens=9)


def test_a_rate_counts_from_the_first_request_to_the_last_token() -> None:
    assert rate([STEADY, LATE]) == pytest.approx(14 / 8)


def test_a_decode_rate_counts_each_stream_from_its_own_first_token() -> None:
    assert decode_rate([STEADY]) == pytest.approx(1.0)
    assert decode_rate([STEADY, LATE]) == pytest.approx(1.0 + 8 / 4)


def test_choices_share_the_tokens_of_their_answer() -> None:
    both = answer(0.0, [1.0, 5.0], [1.0, 9.0], tokens=10)
    assert decode_rate([both]) == pytest.approx(4 / 4 + 4 / 8)


def test_the_step_time_is_the_time_between_two_tokens_of_a_stream() -> None:
    assert step_time([STEADY, STEADY]) == pytest.approx(1.0)
    two_per_event = answer(0.0, [1.0, 3.0, 5.0], tokens=5)
    assert step_time([two_per_event]) == pytest.approx(1.0)


def test_the_step_time_counts_only_while_all_streams_run() -> None:
    early = answer(0.0, [1.0, 1.5, 2.0, 2.5, 3.0, 5.0, 7.0], tokens=7)
    late = answer(0.0, [2.6, 4.6, 6.6, 6.7, 6.8, 7.3], tokens=6)
    assert step_time([early, late]) == pytest.approx((4.0 + 4.2) / (2 + 4))


def test_streams_that_never_ran_together_have_no_step_time() -> None:
    with pytest.raises(BenchError, match="did not run together"):
        step_time([STEADY, answer(0.0, [14.5, 15.5], tokens=2)])


def test_a_stream_that_comes_all_at_once_has_no_decode_rate() -> None:
    with pytest.raises(BenchError, match="all at once"):
        decode_rate([answer(0.0, [1.0, 1.0], tokens=2)])


def test_every_choice_has_a_time_to_first_token() -> None:
    assert first_tokens([STEADY, answer(1.0, [2.0], [4.0], tokens=2)]) == [1.0, 1.0, 3.0]


def test_gaps_stay_within_a_choice() -> None:
    assert gaps([answer(0.0, [1.0, 2.0], [5.0, 9.0], tokens=4)]) == [1.0, 4.0]


def test_a_gap_that_ends_before_the_moment_does_not_count_and_one_across_it_does() -> None:
    silent = answer(0.0, [1.0, 8.0, 9.0], tokens=3)
    assert max_gap_since(8.0, [silent, STEADY]) == 1.0
    assert max_gap_since(7.9, [silent, STEADY]) == 7.0

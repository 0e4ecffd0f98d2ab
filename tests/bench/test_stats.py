"""Medians, percentiles and ratios of given numbers."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.bench.stats import Spread, median_interval, percentile, ratios


def test_ratios_are_computed_within_a_round() -> None:
    # The ratio of the medians would be 2 / 4.
    assert ratios([1, 2, 30], [4, 8, 3]) == Spread(0.25, 0.25, 10.0)


def test_rounds_that_one_server_lacks_are_left_out_of_ratios() -> None:
    assert ratios([4, 9, 9], [2]) == Spread(2, 2, 2)


def test_the_inverse_swaps_minimum_and_maximum() -> None:
    assert Spread(2, 0.5, 4).inverse() == Spread(0.5, 0.25, 2)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)]
)
def test_percentiles_use_the_nearest_rank(share: float, expected: int) -> None:
    assert percentile([*range(100, 0, -1)], share) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_the_minimum_value_that_covers_its_share(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


@pytest.mark.parametrize(
    ("count", "expected"), [(1, (1, 1)), (5, (1, 5)), (6, (1, 6)), (9, (2, 8)), (20, (6, 15))]
)
def test_the_interval_of_a_median_is_that_of_published_tables(
    count: int, expected: tuple[int, int]
) -> None:
    assert median_interval([*range(count, 0, -1)]) == expected


@given(st.integers(6, 60), st.floats(0.5, 0.96))
def test_the_interval_of_a_median_is_the_shortest_with_the_confidence(
    count: int, confidence: float
) -> None:
    low, high = median_interval([*range(1, count + 1)], confidence)
    assert low + high == count + 1
    below = sum(comb(count, number) for number in range(int(low))) / 2**count
    assert 1 - 2 * below >= confidence
    assert 1 - 2 * (below + comb(count, int(low)) / 2**count) < confidence

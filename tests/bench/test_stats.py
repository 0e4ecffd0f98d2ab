"""Medians, percentiles and ratios of given numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.bench.stats import Spread, percentile, ratios


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

"""Top-k and top-p selection, compared with sorting all values."""

import math
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from friendli_endpoint.engine.core.ranking import nucleus, top_indexes


def ranked(values: NDArray[np.floating[Any]]) -> list[int]:
    return sorted(range(values.size), key=lambda index: (-values[index], index))


@st.composite
def numbers(draw: st.DrawFn) -> NDArray[np.float64]:
    """Generates few or thousands of numbers, with many duplicates."""
    size = draw(st.one_of(st.integers(1, 9), st.integers(250, 3000)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    steps = draw(st.sampled_from([1, 4, 1000]))
    return random.integers(-9 * steps, steps, size) / steps


@settings(max_examples=150, deadline=None)
@given(numbers(), st.data())
def test_top_indexes_are_the_first_of_all_sorted_values(
    values: NDArray[np.float64], data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, values.size))
    assert top_indexes(values, count).tolist() == sorted(ranked(values)[:count])
    single = values.astype(np.float32)
    assert top_indexes(single, count).tolist() == sorted(ranked(single)[:count])


def test_top_indexes_may_include_minus_infinity() -> None:
    values = np.array([-math.inf, 1.0, -math.inf])
    assert [top_indexes(values, count).tolist() for count in (1, 2, 3)] == [[1], [0, 1], [0, 1, 2]]


@settings(max_examples=150, deadline=None)
@given(numbers(), st.integers(1, 1000))
def test_a_nucleus_contains_each_weight_with_less_than_the_mass_before_it(
    values: NDArray[np.float64], thousandths: int
) -> None:
    # Weights are multiples of 2**-20, so that every sum of them is exact, whatever its order.
    weights = np.round(np.exp2(values) * 2**18) / 2**20
    mass = math.floor(weights.sum() * thousandths / 1000 * 2**20) / 2**20
    order = ranked(weights)
    before = accumulate((weights[index] for index in order), initial=0.0)
    kept = [index for place, (index, sum_) in enumerate(zip(order, before, strict=False))
            if sum_ < mass or not place]  # fmt: skip
    assert nucleus(weights, mass).tolist() == sorted(kept)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95, 1.0])
def test_the_nucleus_of_many_thousands_of_weights(share: float) -> None:
    weights = np.random.default_rng(3).integers(1, 1 << 20, 60_000) / 2**20
    mass = math.floor(share * weights.sum())
    order = np.argsort(-weights, kind="stable")
    count = int(np.searchsorted(np.cumsum(weights[order]), mass)) + 1
    assert nucleus(weights, mass).tolist() == sorted(order[:count].tolist())

"""The greatest of many numbers, ties to the lower index, without sorting them all.

A vocabulary may have a quarter of a million tokens; to sort it takes a hundred times as long as to
run through it once.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ids", "largest", "nucleus"]

Ids = NDArray[np.intp]

_BLOCK = 256
_FLOOR = 1e-4
"""Weights above this are mostly few, and have most of the mass."""

_MOST_HEAVY = 8192

_BUCKET_BITS = 48
"""Of the 64 bits of a weight, those that tell the weights of one bucket apart."""


def largest(values: NDArray[Any], count: int) -> Ids:
    """The indexes of the greatest values, rising.

    Args:
        values: Shape (size,), of floats that are numbers.
        count: In [1, size].
    """
    # Of as many blocks each has a value that is no less than the least of their greatest.
    tops = np.maximum.reduceat(values, np.arange(0, values.size, _BLOCK))
    at_least = np.partition(tops, -count)[-count] if count <= tops.size else -np.inf
    chosen = np.flatnonzero(values >= at_least)
    candidates = values[chosen]
    least = np.partition(candidates, -count)[-count]
    kept = candidates > least
    kept[np.flatnonzero(candidates == least)[: count - np.count_nonzero(kept)]] = True
    indexes: Ids = chosen[kept]
    return indexes


def nucleus(weights: NDArray[np.float64], mass: float) -> Ids:
    """The indexes of the heaviest weights that have a mass together, rising.

    A weight belongs to them where those before it, the heavier ones, have less than that mass; the
    heaviest always does.

    Args:
        weights: Shape (size,), from 0 to 1.
        mass: At most what all of them have together.
    """
    heavy = np.flatnonzero(weights >= _FLOOR)
    if heavy.size <= _MOST_HEAVY and weights[heavy].sum() >= mass:
        return heavy[_nucleus(weights[heavy], mass)]
    del heavy  # as large as all others together, and memory is slow to get
    return _nucleus(weights, mass)


def _nucleus(weights: NDArray[np.float64], mass: float) -> Ids:
    """Sorts only the weights that are about as heavy as the last that belongs.

    The bits of a float that is not negative, taken as an integer, are in the order of the floats;
    so their upper ones number buckets of weights that are batch_invariant_positions.
    """
    buckets = weights.view(np.int64) >> _BUCKET_BITS
    buckets -= buckets.min()
    down_to = np.bincount(buckets, weights)[::-1].cumsum()
    passed = min(int(np.searchsorted(down_to, mass)), down_to.size - 1)
    bucket = down_to.size - 1 - passed
    batch_invariant_positions = np.flatnonzero(buckets == bucket)
    batch_invariant_positions = batch_invariant_positions[
        np.argsort(-weights[batch_invariant_positions], kind="stable")
    ]
    before = np.cumsum(weights[batch_invariant_positions]) - weights[batch_invariant_positions]
    before[0] = 0.0
    if passed:
        before += down_to[passed - 1]
    kept = buckets > bucket
    kept[batch_invariant_positions[: max(1, int(np.searchsorted(before, mass)))]] = True
    return np.flatnonzero(kept)

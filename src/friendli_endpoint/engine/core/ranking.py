"""Top-k and top-p selection, ties to the lower index, without sorting all values.

A vocabulary may have a quarter of a million tokens; sorting it takes a hundred times as long as one
pass over it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ids", "nucleus", "top_indexes"]

Ids = NDArray[np.intp]
"""Token ids or indexes, shape (count,), ascending."""

_BLOCK = 256
_FLOOR = 1e-4
"""Usually, few weights are above this, and they have most of the mass."""

_MAX_HEAVY = 8192
"""Maximum number of weights above `_FLOOR` to select from them alone."""

_BUCKET_BITS = 48
"""Low bits of a float64 weight that are ignored when weights are sorted into buckets."""


def top_indexes(values: NDArray[Any], count: int) -> Ids:
    """Returns the indexes of the greatest values, ascending; ties go to the lower index.

    Args:
        values: Shape (size,), floats without NaN.
        count: In [1, size].
    """
    # The count-th greatest of the blocks' maxima is a lower bound of the result: `count` blocks
    # have a value that is at least as great.
    maxima = np.maximum.reduceat(values, np.arange(0, values.size, _BLOCK))
    lower = np.partition(maxima, -count)[-count] if count <= maxima.size else -np.inf
    chosen = np.flatnonzero(values >= lower)
    candidates = values[chosen]
    threshold = np.partition(candidates, -count)[-count]
    kept = candidates > threshold
    kept[np.flatnonzero(candidates == threshold)[: count - np.count_nonzero(kept)]] = True
    indexes: Ids = chosen[kept]
    return indexes


def nucleus(weights: NDArray[np.float64], mass: float) -> Ids:
    """Returns the indexes of the top-p nucleus (Holtzman et al. 2019, arXiv:1904.09751), ascending.

    With weights in descending order, ties to the lower index, a weight is in the nucleus if the sum
    of all weights before it is less than `mass`; the first one always is.

    Args:
        weights: Shape (size,), float64, in [0, 1].
        mass: At most the sum of all weights.
    """
    heavy = np.flatnonzero(weights >= _FLOOR)
    if heavy.size <= _MAX_HEAVY and weights[heavy].sum() >= mass:
        return heavy[_nucleus(weights[heavy], mass)]
    del heavy  # it may be as large as the arrays below together, and allocation is slow
    return _nucleus(weights, mass)


def _nucleus(weights: NDArray[np.float64], mass: float) -> Ids:
    """Returns the nucleus; sorts only the weights that are close to the smallest one in it.

    Non-negative floats have the order of their bits as integers, so that the high bits number
    buckets of similar weights.
    """
    buckets = weights.view(np.int64) >> _BUCKET_BITS
    buckets -= buckets.min()
    cumulative = np.bincount(buckets, weights)[::-1].cumsum()  # from the heaviest bucket down
    passed = min(int(np.searchsorted(cumulative, mass)), cumulative.size - 1)
    bucket = cumulative.size - 1 - passed
    similar = np.flatnonzero(buckets == bucket)
    similar = similar[np.argsort(-weights[similar], kind="stable")]
    before = np.cumsum(weights[similar]) - weights[similar]
    before[0] = 0.0
    if passed:
        before += cumulative[passed - 1]
    kept = buckets > bucket
    kept[similar[: max(1, int(np.searchsorted(before, mass)))]] = True
    return np.flatnonzero(kept)

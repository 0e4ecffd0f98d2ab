"""Medians, percentiles and ratios of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, comb
from statistics import median

__all__ = ["Spread", "median_interval", "percentile", "ratios"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, minimum and maximum of some values."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Computes the spread of one or more values."""
        return cls(median(values), min(values), max(values))

    def inverse(self) -> "Spread":
        """Returns the spread of the reciprocals of the values."""
        return Spread(1 / self.median, 1 / self.max, 1 / self.min)


def percentile(values: Sequence[float], share: float) -> float:
    """Returns the nearest-rank percentile: the smallest value that at least `share` do not exceed.

    Args:
        values: One or more values, in any order.
        share: Share of the values, in (0, 1]; 1 gives the maximum.
    """
    ordered = sorted(values)
    return ordered[ceil(share * len(ordered)) - 1]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Returns the spread of ours / theirs by round; rounds that one of them lacks are left out."""
    return Spread.of([our / their for our, their in zip(ours, theirs, strict=False)])


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Returns a confidence interval of the median: two of the values, without an assumption.

    Independent values lie below the median with probability 1/2 each, so their number has a
    binomial distribution (Conover, Practical Nonparametric Statistics, section 3.2).

    Args:
        values: One or more values, in any order.
        confidence: Minimum probability that the interval contains the median, in (0, 1). If there
            are too few values for it (5 for 0.95), the interval is their minimum and maximum.
    """
    ordered, count = sorted(values), len(values)
    rank, below = 0, 1
    while 2 * below <= (1 - confidence) * 2**count:
        rank += 1
        below += comb(count, rank)
    rank = max(rank, 1)
    return ordered[rank - 1], ordered[count - rank]

"""Medians, percentiles and ratios of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

__all__ = ["Spread", "percentile", "ratios"]


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

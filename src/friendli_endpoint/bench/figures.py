"""Medians, percentiles and ratios; it knows numbers only."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

__all__ = ["Spread", "percentile", "ratios"]


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some values, and their ends."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of one value or more."""
        return cls(median(values), min(values), max(values))

    def inverse(self) -> "Spread":
        """The spread of one divided by each value."""
        return Spread(1 / self.middle, 1 / self.most, 1 / self.least)


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that so large a share of all values does not exceed (nearest rank).

    Args:
        values: One or more, in any order.
        share: In (0, 1]; 1 is the greatest value.
    """
    ordered = sorted(values)
    return ordered[ceil(share * len(ordered)) - 1]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """How many times theirs ours is, round by round; a round that one of them lacks is left out."""
    return Spread.of([mine / other for mine, other in zip(ours, theirs, strict=False)])

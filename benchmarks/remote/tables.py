"""Cells of tables: medians, with confidence intervals."""

from collections.abc import Sequence
from statistics import median

from friendli_endpoint.bench.stats import median_interval

__all__ = ["compared", "number"]


def number(values: Sequence[float], scale: float = 1.0) -> str:
    """Returns the median of the values times a factor, with three significant digits."""
    value = median(values) * scale
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def compared(values: Sequence[float]) -> str:
    """Returns the median of paired comparisons, and its 95 % confidence interval."""
    low, high = median_interval(values)
    return f"{median(values):.2f} ({low:.2f} to {high:.2f})"

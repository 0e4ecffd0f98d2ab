"""Policy for fast-forward tokens: which sequences compute theirs in a step.

Fast-forward tokens are those that a grammar leaves no choice about. Several of them in a row are
computed in one call of `Backend.extend`, whatever else runs, so that their bits depend on nothing
else.
"""

from collections.abc import Mapping, Sequence

from friendli_endpoint.engine.core.backend import SlotId

__all__ = ["MIN_RUN", "FastForward"]

MIN_RUN = 4
"""Fewer fast-forward tokens take longer in one call than token by token beside other choices."""


class FastForward:
    """Selects the slots that fast-forward in a step, first come, first served.

    Args:
        max_tokens: Maximum number of fast-forward tokens in a step, at least `MAX_RUN`; other
            choices generate nothing meanwhile.
    """

    def __init__(self, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        self._waiting: list[SlotId] = []

    def due(self, runs: Mapping[SlotId, int]) -> Sequence[SlotId]:
        """Returns the slots to fast-forward now; the others wait for the next step.

        Args:
            runs: Number of fast-forward tokens of each slot that has at least `MIN_RUN` of them.
        """
        waiting = [slot for slot in self._waiting if slot in runs]
        waiting += [slot for slot in runs if slot not in waiting]
        count, remaining = 0, self._max_tokens
        while count < len(waiting) and runs[waiting[count]] <= remaining:
            remaining -= runs[waiting[count]]
            count += 1
        self._waiting = waiting[count:]
        return waiting[:count]

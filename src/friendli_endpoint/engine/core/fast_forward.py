"""Tokens that a grammar leaves no choice about: several in a row are one piece of work.

It is a piece of its own whatever else runs, so that its bits depend on nothing else.
"""

from collections.abc import Mapping, Sequence

from friendli_endpoint.engine.core.backend import SlotId

__all__ = ["SHORTEST_RUN", "FastForward"]

SHORTEST_RUN = 4
"""Fewer forced tokens take longer as a piece than token by token, where other choices run."""


class FastForward:
    """Whose forced tokens are computed in a turn: first come, first served.

    Args:
        most: Most of them in a turn, at least those of the longest run: all that runs is silent
            meanwhile.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: list[SlotId] = []

    def due(self, runs: Mapping[SlotId, int]) -> Sequence[SlotId]:
        """Slots whose run is to be computed now; the others wait for the next turn.

        Args:
            runs: How many tokens are forced, by slot, where there are enough of them.
        """
        waiting = [slot for slot in self._waiting if slot in runs]
        waiting += [slot for slot in runs if slot not in waiting]
        count, room = 0, self._most
        while count < len(waiting) and runs[waiting[count]] <= room:
            room -= runs[waiting[count]]
            count += 1
        self._waiting = waiting[count:]
        return waiting[:count]

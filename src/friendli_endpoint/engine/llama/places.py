"""Where the sequences of a context lie: those that run, side by side.

llama.cpp computes at once only sequences whose numbers follow one another; of others, every run of
numbers is a computation of its own, which reads all weights again. With the embedded model, eight
sequences take 38 ms where they lie side by side, 47 in two runs, and 63 each alone.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NewType

from friendli_endpoint.engine.core.backend import SlotId

__all__ = ["Places", "SeqId"]

SeqId = NewType("SeqId", int)
"""llama.cpp's number of a sequence, a `llama_seq_id`."""


class Places:
    """The place of every slot: the number that llama.cpp knows its sequence by.

    Args:
        count: How many sequences there are, each in the place of its own number at first.
        run_cost: How many tokens can be moved in the time that a further run takes a step.
        most: Most tokens that may be moved at once.
    """

    def __init__(self, count: int, run_cost: float, most: float) -> None:
        self._places = [SeqId(number) for number in range(count)]
        self._run_cost = run_cost
        self._most = most
        self._lost = 0.0

    def __getitem__(self, slot: SlotId) -> SeqId:
        return self._places[slot]

    def exchange(self, first: SeqId, second: SeqId) -> None:
        """The sequences in two places have changed theirs."""
        places = self._places
        one, other = places.index(first), places.index(second)
        places[one], places[other] = second, first

    def due(
        self, running: Sequence[SeqId], held: Callable[[SeqId], int]
    ) -> tuple[SeqId, SeqId] | None:
        """Two places to exchange before a batch; to be asked once a batch.

        That is due as soon as batches have lost the time that it takes, so however short sequences
        run, at most twice as much is lost as foresight would lose.

        Args:
            running: The places of the sequences that the step computes, ascending.
            held: How many tokens a place holds.

        Returns:
            A place that runs and one that does not, or None.
        """
        breaks = sum(after - before > 1 for before, after in pairwise(running))
        if not breaks:
            return None
        self._lost += breaks * self._run_cost
        start = self._best_start(running)
        wanted = range(start, start + len(running))
        outside = [place for place in running if place not in wanted]
        between = set(map(SeqId, wanted)).difference(running)
        pair = min(outside, key=held), min(between, key=held)
        if sum(map(held, pair)) > min(self._lost, self._most):
            return None
        self._lost = 0.0
        return pair

    def _best_start(self, running: Sequence[int]) -> int:
        """From where on the fewest are to be moved until they follow one another."""
        count = len(running)

        def inside(start: int) -> int:
            return bisect_left(running, start + count) - bisect_left(running, start)

        return max(range(len(self._places) - count + 1), key=inside)

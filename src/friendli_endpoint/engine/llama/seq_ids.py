"""Assigns llama.cpp sequence ids to slots so that the running sequences have contiguous ids.

llama.cpp computes sequences together only if their ids are contiguous. Every gap in the ids of a
batch adds a computation of its own, which reads all weights again. With the embedded model, a batch
of eight sequences takes 38 ms with contiguous ids, 47 ms with one gap, and 63 ms if no two ids are
adjacent.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NewType

from friendli_endpoint.engine.core.backend import SlotId

__all__ = ["SeqId", "SeqIdMap"]

SeqId = NewType("SeqId", int)
"""A sequence id of llama.cpp, a `llama_seq_id`."""


class SeqIdMap:
    """The sequence id of every slot, and the policy for swapping two of them.

    Args:
        count: Number of slots; at first, every slot has its own number as sequence id.
        gap_cost: Cost of one gap in a batch, as the number of cached tokens that can be copied in
            the same time.
        max_moved: Maximum number of cached tokens that a swap may copy.
    """

    def __init__(self, count: int, gap_cost: float, max_moved: float) -> None:
        self._seq_ids = [SeqId(number) for number in range(count)]
        self._gap_cost = gap_cost
        self._max_moved = max_moved
        self._lost = 0.0

    def __getitem__(self, slot: SlotId) -> SeqId:
        return self._seq_ids[slot]

    def swap(self, first: SeqId, second: SeqId) -> None:
        """Swaps the sequence ids of two slots, after their cached tokens were swapped."""
        seq_ids = self._seq_ids
        first_slot, second_slot = seq_ids.index(first), seq_ids.index(second)
        seq_ids[first_slot], seq_ids[second_slot] = second, first

    def next_swap(
        self, running: Sequence[SeqId], num_tokens: Callable[[SeqId], int]
    ) -> tuple[SeqId, SeqId] | None:
        """Chooses two sequence ids to swap before a batch; must be called once per batch.

        A swap is due as soon as the gaps of previous batches have cost as much as the swap will. So
        however briefly sequences run, gaps and swaps together cost at most twice as much as with
        knowledge of the future.

        Args:
            running: Sequence ids of the batch, ascending.
            num_tokens: Returns the number of cached tokens of a sequence id.

        Returns:
            A sequence id that is in the batch and one that is not, or None.
        """
        gaps = sum(after - before > 1 for before, after in pairwise(running))
        if not gaps:
            return None
        self._lost += gaps * self._gap_cost
        start = self._best_start(running)
        target = range(start, start + len(running))
        outside = [seq_id for seq_id in running if seq_id not in target]
        vacant = set(map(SeqId, target)).difference(running)
        pair = min(outside, key=num_tokens), min(vacant, key=num_tokens)
        if sum(map(num_tokens, pair)) > min(self._lost, self._max_moved):
            return None
        self._lost = 0.0
        return pair

    def _best_start(self, running: Sequence[int]) -> int:
        """Returns the start of the contiguous range that needs the fewest swaps."""
        count = len(running)

        def num_inside(start: int) -> int:
            return bisect_left(running, start + count) - bisect_left(running, start)

        return max(range(len(self._seq_ids) - count + 1), key=num_inside)

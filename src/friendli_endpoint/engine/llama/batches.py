"""Which of the sequences that run are computed together: pure functions.

What a batch takes is told in positions, each the time to attend to one: a pass over the weights,
whatever it computes, and for every sequence as many positions as the longest of them has. So those
whose lengths differ much are computed apart: 15 short sequences beside one of 3,800 tokens take the
embedded model 105 ms in two batches, and 322 in one.
"""

from collections.abc import Sequence
from itertools import pairwise

from friendli_endpoint.engine.llama.places import SeqId

__all__ = ["by_length", "divide"]

BLOCK = 256
"""Positions that llama.cpp attends to at once."""


def by_length(lengths: Sequence[int], pass_cost: float) -> list[list[int]]:
    """Divides sequences into batches that take the least time altogether.

    Args:
        lengths: How many tokens each holds, with the one to come.
        pass_cost: What a pass over the weights takes, in positions.

    Returns:
        Indices into `lengths`, each once.
    """
    spans = [-(-length // BLOCK) * BLOCK for length in lengths]
    count = len(spans)
    if count * max(spans) - sum(spans) <= pass_cost:
        return [list(range(count))]
    order = sorted(range(count), key=spans.__getitem__)
    least, starts = [0.0], [0]
    for end, index in enumerate(order, 1):
        cost, start = min(
            (least[start] + pass_cost + (end - start) * spans[index], start) for start in range(end)
        )
        least.append(cost)
        starts.append(start)
    batches = []
    end = count
    while end:
        batches.append(order[starts[end] : end])
        end = starts[end]
    return batches


def divide(sequences: Sequence[SeqId], least: int, most: int | None) -> Sequence[Sequence[SeqId]]:
    """Cuts the ascending numbers of sequences into batches.

    llama.cpp computes at once only those that follow one another (see `places.py`), so where the
    size matters each such run is a batch or several.

    Args:
        sequences: Distinct numbers, ascending.
        least: How many a batch should have.
        most: How many a batch may have, or None; those of one run are about equal.
    """
    if least == 1 and most is None:
        return [sequences]
    runs: list[list[SeqId]] = []
    for sequence in sequences:
        if runs and runs[-1][-1] == sequence - 1:
            runs[-1].append(sequence)
        else:
            runs.append([sequence])
    return [batch for run in runs for batch in _cut(run, most or len(run))]


def _cut(run: list[SeqId], most: int) -> list[list[SeqId]]:
    count = -(-len(run) // most)
    ends = [len(run) * number // count for number in range(count + 1)]
    return [run[start:end] for start, end in pairwise(ends)]

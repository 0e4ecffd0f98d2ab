"""Division of sequences into batches, compared with every possible division."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.llama.batches import BLOCK, contiguous_batches, group_by_length
from friendli_endpoint.engine.llama.seq_ids import SeqId

seq_ids = st.sets(st.integers(0, 40).map(SeqId), min_size=1)


def divisions(indices: Sequence[int]) -> Iterator[list[list[int]]]:
    """Yields all partitions of the indices."""
    if not indices:
        yield []
        return
    first, *rest = indices
    for division in divisions(rest):
        yield [[first], *division]
        for number, batch in enumerate(division):
            yield [*division[:number], [first, *batch], *division[number + 1 :]]


def cost(lengths: Sequence[int], batches: Sequence[Sequence[int]], pass_cost: float) -> float:
    return sum(
        pass_cost + len(batch) * BLOCK * max(-(-lengths[index] // BLOCK) for index in batch)
        for batch in batches
    )


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=6), st.integers(1, 9000))
def test_grouping_by_length_has_the_minimal_cost(lengths: list[int], pass_cost: int) -> None:
    actual = cost(lengths, group_by_length(lengths, pass_cost), pass_cost)
    assert actual == min(
        cost(lengths, division, pass_cost) for division in divisions(range(len(lengths)))
    )


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=40), st.floats(0, 9000))
def test_every_sequence_is_in_exactly_one_batch(lengths: list[int], pass_cost: float) -> None:
    batches = group_by_length(lengths, pass_cost)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))


def test_a_long_sequence_has_its_own_batch_if_that_costs_less() -> None:
    assert group_by_length([60, 3800, 61, 255], 2000) == [[1], [0, 2, 3]]
    assert group_by_length([60, 700, 61, 255], 2000) == [[0, 1, 2, 3]]


@given(seq_ids, st.integers(1, 9))
def test_batches_are_contiguous_and_of_a_bounded_size(seq_ids: set[SeqId], max_size: int) -> None:
    batches = contiguous_batches(sorted(seq_ids), 1, max_size)
    assert [seq_id for batch in batches for seq_id in batch] == sorted(seq_ids)
    for batch in batches:
        assert 1 <= len(batch) <= max_size
        assert all(after == before + 1 for before, after in pairwise(batch))


@given(seq_ids, st.integers(3, 9))
def test_a_contiguous_run_is_never_divided_into_a_batch_of_one(
    seq_ids: set[SeqId], max_size: int
) -> None:
    for batch in contiguous_batches(sorted(seq_ids), 2, max_size):
        if len(batch) == 1:
            assert not seq_ids & {batch[0] - 1, batch[0] + 1}


def test_without_size_limits_all_sequences_form_one_batch() -> None:
    seq_ids = [SeqId(0), SeqId(2), SeqId(5)]
    assert contiguous_batches(seq_ids, 1, None) == [seq_ids]

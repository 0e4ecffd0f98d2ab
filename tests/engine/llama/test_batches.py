"""Which sequences are computed together, against every other way to divide them."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.llama.batches import BLOCK, by_length, divide
from friendli_endpoint.engine.llama.places import SeqId

seq_ids = st.sets(st.integers(0, 40).map(SeqId), min_size=1)


def divisions(indices: Sequence[int]) -> Iterator[list[list[int]]]:
    """All ways to divide what is given."""
    if not indices:
        yield []
        return
    first, *rest = indices
    for division in divisions(rest):
        yield [[first], *division]
        for number, batch in enumerate(division):
            yield [*division[:number], [first, *batch], *division[number + 1 :]]


def cost(lengths: Sequence[int], batches: Sequence[Sequence[int]], pass_cost: float) -> float:
    longest = (max(-(-lengths[index] // BLOCK) for index in batch) for batch in batches)
    return sum(
        pass_cost + len(batch) * BLOCK * most for batch, most in zip(batches, longest, strict=True)
    )


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=6), st.integers(1, 9000))
def test_no_other_batches_take_less_time(lengths: list[int], pass_cost: int) -> None:
    found = cost(lengths, by_length(lengths, pass_cost), pass_cost)
    assert found == min(
        cost(lengths, division, pass_cost) for division in divisions(range(len(lengths)))
    )


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=40), st.floats(0, 9000))
def test_every_sequence_is_in_one_batch(lengths: list[int], pass_cost: float) -> None:
    batches = by_length(lengths, pass_cost)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))


def test_a_long_sequence_is_computed_apart_from_short_ones() -> None:
    assert by_length([60, 3800, 61, 255], 2000) == [[1], [0, 2, 3]]
    assert by_length([60, 700, 61, 255], 2000) == [[0, 1, 2, 3]]


@given(seq_ids, st.integers(1, 9))
def test_batches_are_runs_of_a_bounded_size(sequences: set[SeqId], most: int) -> None:
    batches = divide(sorted(sequences), 1, most)
    assert [sequence for batch in batches for sequence in batch] == sorted(sequences)
    for batch in batches:
        assert 1 <= len(batch) <= most
        assert all(after == before + 1 for before, after in pairwise(batch))


@given(seq_ids, st.integers(3, 9))
def test_a_run_is_never_cut_down_to_one(sequences: set[SeqId], most: int) -> None:
    for batch in divide(sorted(sequences), 2, most):
        if len(batch) == 1:
            assert not sequences & {batch[0] - 1, batch[0] + 1}


def test_where_the_size_does_not_matter_all_are_one_batch() -> None:
    apart = [SeqId(0), SeqId(2), SeqId(5)]
    assert divide(apart, 1, None) == [apart]

"""Swaps of sequence ids, over random sets of running sequences."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.llama.seq_ids import SeqId, SeqIdMap

COUNT, GAP_COST, MAX_MOVED = 12, 1000, 9000

lengths = st.lists(st.integers(0, MAX_MOVED // 2), min_size=COUNT, max_size=COUNT)
running_slots = st.sets(st.integers(0, COUNT - 1), min_size=1)


class FixedCache:
    """Slots with fixed numbers of tokens, whose sequence ids are swapped as the map says."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = lengths
        self.seq_ids = SeqIdMap(COUNT, GAP_COST, MAX_MOVED)
        self.moved = 0

    def seq_id(self, slot: int) -> SeqId:
        return self.seq_ids[SlotId(slot)]

    def running(self, slots: set[int]) -> list[SeqId]:
        return sorted(map(self.seq_id, slots))

    def num_tokens(self, seq_id: SeqId) -> int:
        (slot,) = [slot for slot in range(COUNT) if self.seq_id(slot) == seq_id]
        return self.lengths[slot]

    def step(self, slots: set[int]) -> bool:
        """Runs one batch; returns whether two sequence ids were swapped."""
        running = self.running(slots)
        pair = self.seq_ids.next_swap(running, self.num_tokens)
        if pair is None:
            return False
        assert pair[0] in running and pair[1] not in running
        assert sum(map(self.num_tokens, pair)) <= MAX_MOVED
        self.moved += sum(map(self.num_tokens, pair))
        self.seq_ids.swap(*pair)
        return True


def num_gaps(running: Sequence[int]) -> int:
    return len(running) - 1 - sum(seq_id + 1 in running for seq_id in running)


@given(lengths, running_slots)
def test_running_sequences_become_contiguous_with_the_fewest_swaps(
    lengths: list[int], slots: set[int]
) -> None:
    cache = FixedCache(lengths)
    swaps = 0
    for _ in range(10 * COUNT):
        swaps += cache.step(slots)
    assert not num_gaps(cache.running(slots))
    targets = [{*range(start, start + len(slots))} for start in range(COUNT)]
    max_kept = max(len(slots & target) for target in targets if max(target) < COUNT)
    assert swaps == len(slots) - max_kept
    assert sorted(cache.running(set(range(COUNT)))) == list(range(COUNT))


@given(lengths, st.lists(running_slots, max_size=40))
def test_swaps_never_cost_more_than_the_gaps_have_cost(
    lengths: list[int], steps: list[set[int]]
) -> None:
    cache = FixedCache(lengths)
    lost = 0
    for slots in steps:
        lost += num_gaps(cache.running(slots)) * GAP_COST
        cache.step(slots)
        assert cache.moved <= lost


def test_sequences_that_exceed_the_copy_limit_are_not_swapped() -> None:
    cache = FixedCache([MAX_MOVED + 1] * COUNT)
    assert not any(cache.step({0, 2}) for _ in range(100))


def test_the_sequences_with_the_fewest_tokens_are_swapped() -> None:
    cache = FixedCache([0, 0, 0, 500, 300, 400, 0, 0, 20, 0, 0, 0])
    assert cache.step({0, 1, 2, 5, 8})
    assert [cache.seq_id(slot) for slot in (3, 4, 5, 8)] == [3, 8, 5, 4]

"""Which sequences change places, over random sets of running ones."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.llama.places import Places, SeqId

COUNT, RUN_COST, MOST = 12, 1000, 9000

lengths = st.lists(st.integers(0, MOST // 2), min_size=COUNT, max_size=COUNT)
some = st.sets(st.integers(0, COUNT - 1), min_size=1)


class Cache:
    """Sequences of fixed lengths that move as they are told to."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = lengths
        self.places = Places(COUNT, RUN_COST, MOST)
        self.moved = 0

    def place(self, sequence: int) -> SeqId:
        return self.places[SlotId(sequence)]

    def running(self, sequences: set[int]) -> list[SeqId]:
        return sorted(map(self.place, sequences))

    def held(self, place: SeqId) -> int:
        (sequence,) = [number for number in range(COUNT) if self.place(number) == place]
        return self.lengths[sequence]

    def step(self, sequences: set[int]) -> bool:
        """Whether two have changed places."""
        running = self.running(sequences)
        pair = self.places.due(running, self.held)
        if pair is None:
            return False
        assert pair[0] in running and pair[1] not in running
        assert sum(map(self.held, pair)) <= MOST
        self.moved += sum(map(self.held, pair))
        self.places.exchange(*pair)
        return True


def breaks(running: Sequence[int]) -> int:
    return len(running) - 1 - sum(place + 1 in running for place in running)


@given(lengths, some)
def test_what_runs_on_comes_to_lie_side_by_side(lengths: list[int], sequences: set[int]) -> None:
    cache = Cache(lengths)
    exchanges = 0
    for _ in range(10 * COUNT):
        exchanges += cache.step(sequences)
    assert not breaks(cache.running(sequences))
    windows = [{*range(start, start + len(sequences))} for start in range(COUNT)]
    stayed = max(len(sequences & window) for window in windows if max(window) < COUNT)
    assert exchanges == len(sequences) - stayed, "the fewest are moved"
    assert sorted(cache.running(set(range(COUNT)))) == list(range(COUNT))


@given(lengths, st.lists(some, max_size=40))
def test_moving_never_costs_more_than_lying_apart_has(
    lengths: list[int], steps: list[set[int]]
) -> None:
    cache = Cache(lengths)
    lost = 0
    for sequences in steps:
        lost += breaks(cache.running(sequences)) * RUN_COST
        cache.step(sequences)
        assert cache.moved <= lost


def test_what_would_take_too_much_memory_stays_where_it_is() -> None:
    cache = Cache([MOST + 1] * COUNT)
    assert not any(cache.step({0, 2}) for _ in range(100))


def test_the_shortest_are_moved() -> None:
    cache = Cache([0, 0, 0, 500, 300, 400, 0, 0, 20, 0, 0, 0])
    assert cache.step({0, 1, 2, 5, 8})
    assert [cache.place(sequence) for sequence in (3, 4, 5, 8)] == [3, 8, 5, 4]

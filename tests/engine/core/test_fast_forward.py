"""Who waits with forced tokens, over random arrivals."""

from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.core.fast_forward import FastForward

MOST = 32

slot_ids = st.integers(0, 7).map(SlotId)
arrivals = st.lists(st.dictionaries(slot_ids, st.integers(2, 16), max_size=8), max_size=60)


def runs(counts: dict[int, int]) -> dict[SlotId, int]:
    """Counts by the number of a slot."""
    return {SlotId(number): count for number, count in counts.items()}


@given(arrivals)
def test_a_turn_takes_no_more_than_it_may_and_nobody_is_passed_over(
    turns: list[dict[SlotId, int]],
) -> None:
    policy = FastForward(MOST)
    queue: dict[SlotId, int] = {}
    for turn in turns:
        queue |= {slot: count for slot, count in turn.items() if slot not in queue}
        now = list(policy.due(queue))
        assert now == list(queue)[: len(now)], "first come, first served"
        assert sum(queue[slot] for slot in now) <= MOST
        left = list(queue)[len(now) :]
        assert not left or sum(queue[slot] for slot in [*now, left[0]]) > MOST, "no room is left"
        for slot in now:
            del queue[slot]


def test_who_is_gone_waits_no_longer() -> None:
    policy = FastForward(MOST)
    assert policy.due(runs({0: 16, 1: 16, 2: 16, 3: 16})) == [0, 1]
    assert policy.due(runs({3: 16, 4: 16, 5: 16})) == [3, 4]
    assert policy.due(runs({5: 2})) == [5]
    assert policy.due(runs({})) == []

"""Who waits with forced tokens, over random arrivals."""

from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.core.forced import ForcedRuns

MOST = 32

arrivals = st.lists(st.dictionaries(st.integers(0, 7), st.integers(2, 16), max_size=8), max_size=60)


@given(arrivals)
def test_a_turn_takes_no_more_than_it_may_and_nobody_is_passed_over(
    turns: list[dict[int, int]],
) -> None:
    policy = ForcedRuns(MOST)
    queue: dict[int, int] = {}
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
    policy = ForcedRuns(MOST)
    assert policy.due({0: 16, 1: 16, 2: 16, 3: 16}) == [0, 1]
    assert policy.due({3: 16, 4: 16, 5: 16}) == [3, 4]
    assert policy.due({5: 2}) == [5]
    assert policy.due({}) == []

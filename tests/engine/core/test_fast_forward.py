"""Selection of the slots that fast-forward in a step, over random arrivals."""

from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.core.fast_forward import FastForward

MAX_TOKENS = 32

slot_ids = st.integers(0, 7).map(SlotId)
arrivals = st.lists(st.dictionaries(slot_ids, st.integers(2, 16), max_size=8), max_size=60)


def runs(counts: dict[int, int]) -> dict[SlotId, int]:
    """Converts slot numbers to slot ids."""
    return {SlotId(number): count for number, count in counts.items()}


@given(arrivals)
def test_a_step_takes_as_many_runs_as_fit_in_the_order_of_arrival(
    steps: list[dict[SlotId, int]],
) -> None:
    policy = FastForward(MAX_TOKENS)
    queue: dict[SlotId, int] = {}
    for step in steps:
        queue |= {slot: count for slot, count in step.items() if slot not in queue}
        due = list(policy.due(queue))
        assert due == list(queue)[: len(due)], "first come, first served"
        assert sum(queue[slot] for slot in due) <= MAX_TOKENS
        waiting = list(queue)[len(due) :]
        assert not waiting or sum(queue[slot] for slot in [*due, waiting[0]]) > MAX_TOKENS
        for slot in due:
            del queue[slot]


def test_slots_without_fast_forward_tokens_do_not_wait() -> None:
    policy = FastForward(MAX_TOKENS)
    assert policy.due(runs({0: 16, 1: 16, 2: 16, 3: 16})) == [0, 1]
    assert policy.due(runs({3: 16, 4: 16, 5: 16})) == [3, 4]
    assert policy.due(runs({5: 2})) == [5]
    assert policy.due(runs({})) == []

"""Which slot a prompt takes."""

from collections.abc import Iterable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.core.backend import Tokens
from friendli_endpoint.engine.core.prefix_cache import Claim, Slots, shared_length

SHORT = st.lists(st.integers(0, 2), max_size=12)


def tokens(values: Iterable[int]) -> Tokens:
    return np.array(list(values), np.int32)


@given(SHORT, SHORT)
def test_shared_length_counts_equal_tokens_from_the_front(
    first: list[int], second: list[int]
) -> None:
    shared = shared_length(tokens(first), tokens(second))
    assert first[:shared] == second[:shared]
    assert first[shared : shared + 1] != second[shared : shared + 1] or shared in (
        len(first),
        len(second),
    )


def filled(slots: Slots, *prompts: Iterable[int]) -> list[Claim]:
    """Claims for prompts that are computed in full."""
    claims = []
    for prompt in prompts:
        claim = slots.claim(tokens(prompt), None, 100)
        assert claim is not None
        claim.slot.held = claim.slot.tokens.size
        claims.append(claim)
    return claims


def test_a_prompt_takes_the_slot_that_holds_its_beginning() -> None:
    slots = Slots(3)
    first, second = filled(slots, range(20), range(50, 70))
    slots.leave(first.slot)
    slots.leave(second.slot)
    (third,) = filled(slots, range(50, 80))
    assert (third.slot, third.shared, third.source) == (second.slot, 20, None)


def test_of_equal_sources_the_one_that_holds_least_is_copied() -> None:
    slots = Slots(4)
    long, short = filled(slots, range(90), [*range(12), 99])
    (third,) = filled(slots, [*range(12), 70, 71])
    assert third.source is short.slot and long.slot.busy


def test_the_last_free_slot_is_taken_even_from_a_long_prefix() -> None:
    slots = Slots(1)
    (first,) = filled(slots, range(90))
    assert slots.claim(tokens(range(9)), None, 100) is None
    slots.leave(first.slot)
    (second,) = filled(slots, [*range(40), 99])
    assert (second.slot, second.shared, second.source) == (first.slot, 40, None)


def test_what_is_not_computed_is_not_shared() -> None:
    slots = Slots(2)
    claim = slots.claim(tokens(range(40)), None, 100)
    assert claim is not None
    claim.slot.held = 16
    second = slots.claim(tokens(range(40)), None, 100)
    assert second is not None
    assert (second.shared, second.source) == (16, claim.slot)

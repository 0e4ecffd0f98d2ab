"""The prefix cache: which slot a prompt takes, and how much of it is cached."""

from collections.abc import Iterable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.core.backend import Tokens
from friendli_endpoint.engine.core.prefix_cache import (
    PrefixCache,
    SlotClaim,
    common_prefix_length,
)

SHORT = st.lists(st.integers(0, 2), max_size=12)


def tokens(values: Iterable[int]) -> Tokens:
    return np.array(list(values), np.int32)


@given(SHORT, SHORT)
def test_common_prefix_length_counts_equal_tokens_from_the_front(
    first: list[int], second: list[int]
) -> None:
    length = common_prefix_length(tokens(first), tokens(second))
    assert first[:length] == second[:length]
    assert first[length : length + 1] != second[length : length + 1] or length in (
        len(first),
        len(second),
    )


def filled(cache: PrefixCache, *prompts: Iterable[int]) -> list[SlotClaim]:
    """Claims slots for prompts, and counts the prompts as computed."""
    claims = []
    for prompt in prompts:
        claim = cache.claim(tokens(prompt), None, 100)
        assert claim is not None
        claim.slot.num_computed_tokens = claim.slot.tokens.size
        claims.append(claim)
    return claims


def test_a_prompt_takes_the_slot_with_its_prefix() -> None:
    cache = PrefixCache(3)
    first, second = filled(cache, range(20), range(50, 70))
    cache.release(first.slot)
    cache.release(second.slot)
    (third,) = filled(cache, range(50, 80))
    assert (third.slot, third.num_cached_tokens, third.source) == (second.slot, 20, None)


def test_of_equal_sources_the_shortest_sequence_is_copied() -> None:
    cache = PrefixCache(4)
    long, short = filled(cache, range(90), [*range(12), 99])
    (third,) = filled(cache, [*range(12), 70, 71])
    assert third.source is short.slot and long.slot.busy


def test_the_last_free_slot_is_used_in_place_even_if_a_long_prefix_is_lost() -> None:
    cache = PrefixCache(1)
    (first,) = filled(cache, range(90))
    assert cache.claim(tokens(range(9)), None, 100) is None
    cache.release(first.slot)
    (second,) = filled(cache, [*range(40), 99])
    assert (second.slot, second.num_cached_tokens, second.source) == (first.slot, 40, None)


def test_only_computed_tokens_count_as_cached() -> None:
    cache = PrefixCache(2)
    claim = cache.claim(tokens(range(40)), None, 100)
    assert claim is not None
    claim.slot.num_computed_tokens = 16
    second = cache.claim(tokens(range(40)), None, 100)
    assert second is not None
    assert (second.num_cached_tokens, second.source) == (16, claim.slot)

"""Guesses of what comes next, against a search that tries everything."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.core.drafts import (
    LEAST_REPEATED,
    LONGEST_DRAFT,
    MOST_REPEATED,
    SHORTEST_DRAFT,
    Drafts,
    continuation,
)

texts = st.lists(st.integers(0, 3), min_size=1, max_size=60)


def searched(said: Sequence[int], count: int) -> tuple[int, ...]:
    """What followed the longest end that was there before, the latest of them."""
    for length in range(MOST_REPEATED, LEAST_REPEATED - 1, -1):
        end = list(said[-length:])
        for start in range(len(said) - length - 1, -1, -1):
            if list(said[start : start + length]) == end:
                found = list(said)
                for _ in range(count):
                    found.append(found[start + length + len(found) - len(said)])
                return tuple(found[len(said) :])
    return ()


@given(texts, st.integers(1, 16))
def test_it_is_what_a_search_finds(said: list[int], count: int) -> None:
    assert continuation(np.array(said, np.int32), count) == searched(said, count)


def said_by(drafts: Drafts, text: Sequence[int], first: int, most: int = 100) -> list[int]:
    """How long the drafts were at each token of a text, from the first on."""
    lengths = []
    for at in range(first, len(text)):
        lengths.append(len(drafts.propose(np.array(text[:at], np.int32), most)))
        drafts.accept(text[at])
    return lengths


def test_drafts_grow_as_long_as_they_come_true() -> None:
    lengths = said_by(Drafts(), [1, 2, 3, 4] * 20, 8)
    assert lengths[0] == SHORTEST_DRAFT and lengths[-1] == LONGEST_DRAFT
    assert lengths == sorted(lengths)
    assert {length + 1 for length in lengths} == {4, 8, 12, 16}


def test_drafts_stop_when_they_fail_and_come_back_when_they_would_not() -> None:
    fails = [1, 2, 3, 4, 1, 2, 3, 5, 6, 7, 8, 9]
    steady = [10, 11, 12, 13, 14] * 8
    drafts = Drafts()
    lengths = said_by(drafts, [*fails, *steady], 7)
    assert lengths[0] == SHORTEST_DRAFT, "it begins by trying"
    begun = next(at for at, length in enumerate(lengths[1:], 1) if length)
    first_guess = len(fails) - 7 + 8
    assert begun > first_guess, "a guess or two must have come true without being computed"
    assert all(lengths[begun:])


@pytest.mark.parametrize("most", [SHORTEST_DRAFT, 5, LONGEST_DRAFT + 9])
def test_a_draft_is_no_longer_than_it_may_be(most: int) -> None:
    lengths = said_by(Drafts(), [1, 2, 3] * 20, 30, most)
    assert max(lengths) == min(most, LONGEST_DRAFT)


def test_what_is_not_repeated_is_not_guessed() -> None:
    assert set(said_by(Drafts(), range(60), 1)) == {0}

"""Prompt lookup, compared with an exhaustive search, and the length of drafts."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.core.drafts import (
    MAX_DRAFT,
    MAX_NGRAM,
    MIN_DRAFT,
    MIN_NGRAM,
    Drafter,
    prompt_lookup,
)

texts = st.lists(st.integers(0, 3), min_size=1, max_size=60)


def searched(tokens: Sequence[int], count: int) -> tuple[int, ...]:
    """Returns the continuation of the latest occurrence of the last n-gram, as long as possible."""
    for length in range(MAX_NGRAM, MIN_NGRAM - 1, -1):
        ngram = list(tokens[-length:])
        for start in range(len(tokens) - length - 1, -1, -1):
            if list(tokens[start : start + length]) == ngram:
                found = list(tokens)
                for _ in range(count):
                    found.append(found[start + length + len(found) - len(tokens)])
                return tuple(found[len(tokens) :])
    return ()


@given(texts, st.integers(1, 16))
def test_prompt_lookup_returns_the_result_of_an_exhaustive_search(
    tokens: list[int], count: int
) -> None:
    assert prompt_lookup(np.array(tokens, np.int32), count) == searched(tokens, count)


def draft_lengths(
    drafter: Drafter, tokens: Sequence[int], first: int, max_tokens: int = 100
) -> list[int]:
    """Returns the lengths of the drafts for each token from index `first` on."""
    lengths = []
    for index in range(first, len(tokens)):
        lengths.append(len(drafter.propose(np.array(tokens[:index], np.int32), max_tokens)))
        drafter.observe(tokens[index])
    return lengths


def test_drafts_grow_while_they_are_accepted() -> None:
    lengths = draft_lengths(Drafter(), [1, 2, 3, 4] * 20, 8)
    assert lengths[0] == MIN_DRAFT and lengths[-1] == MAX_DRAFT
    assert lengths == sorted(lengths)
    assert {length + 1 for length in lengths} == {4, 8, 12, 16}


def test_drafts_stop_when_they_are_rejected_and_resume_when_guesses_are_right() -> None:
    fails = [1, 2, 3, 4, 1, 2, 3, 5, 6, 7, 8, 9]
    steady = [10, 11, 12, 13, 14] * 8
    lengths = draft_lengths(Drafter(), [*fails, *steady], 7)
    assert lengths[0] == MIN_DRAFT, "the first draft is tried"
    resumed = next(index for index, length in enumerate(lengths[1:], 1) if length)
    first_guess = len(fails) - 7 + 8
    assert resumed > first_guess, "some guesses must be right before drafts are computed again"
    assert all(lengths[resumed:])


@pytest.mark.parametrize("max_tokens", [MIN_DRAFT, 5, MAX_DRAFT + 9])
def test_the_length_of_a_draft_is_bounded(max_tokens: int) -> None:
    lengths = draft_lengths(Drafter(), [1, 2, 3] * 20, 30, max_tokens)
    assert max(lengths) == min(max_tokens, MAX_DRAFT)


def test_tokens_that_do_not_repeat_give_no_draft() -> None:
    assert set(draft_lengths(Drafter(), range(60), 1)) == {0}
